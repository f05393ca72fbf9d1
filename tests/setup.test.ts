import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  backportsFile,
  type DebianTarget,
  findMainSource,
  hasBackports,
  parseAptFile,
} from "../src/setup/apt_source.ts";
import { type Lock, productionLock } from "../src/setup/packages.ts";
import { type Machine, planSetup, showStep } from "../src/setup/plan.ts";

const BOOKWORM: DebianTarget = { codename: "bookworm", architecture: "amd64" };

const LIST = "/etc/apt/sources.list";
const SOURCES = "/etc/apt/sources.list.d/debian.sources";

const CONTAINER_IMAGE = `Types: deb
# http://snapshot.example.org/archive/debian/20250520T000000Z
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
# http://snapshot.example.org/archive/debian-security/20250520T000000Z
URIs: http://deb.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;

const INSTALLER = `#deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_ - amd64 NETINST]/ bookworm main

deb http://ftp.example.org/debian/ bookworm main non-free-firmware
deb-src http://ftp.example.org/debian/ bookworm main non-free-firmware

deb http://security.example.org/debian-security bookworm-security main
# bookworm-updates, to get updates before a point release is made
deb http://ftp.example.org/debian/ bookworm-updates main # daily
`;

const CLOUD_IMAGE = `Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: bookworm bookworm-updates bookworm-backports
Components: main
`;

describe("apt sources", () => {
  it("a deb822 file gives a deb822 file with its keyring", () => {
    expect(derive({ path: SOURCES, text: CONTAINER_IMAGE })).toEqual({
      path: "/etc/apt/sources.list.d/tessera-backports.sources",
      text: `Types: deb
URIs: http://deb.example.org/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`,
    });
  });

  it("a classic list gives a list; comments, cdrom and security are passed over", () => {
    expect(derive({ path: LIST, text: INSTALLER })).toEqual({
      path: "/etc/apt/sources.list.d/tessera-backports.list",
      text: "deb http://ftp.example.org/debian/ bookworm-backports main\n",
    });
    expect(
      derive({ path: LIST, text: "deb cdrom:[Debian 12 _Bookworm_]/ bookworm main\n" }),
    ).toBeNull();
  });

  it("bracketed options stay, and decide for which architecture a source counts", () => {
    const text =
      "deb [ arch=amd64,arm64  signed-by=/k/debian.gpg ] http://deb.example.org/debian " +
      "bookworm main contrib\n";
    expect(derive({ path: LIST, text })?.text).toBe(
      "deb [arch=amd64,arm64 signed-by=/k/debian.gpg] http://deb.example.org/debian " +
        "bookworm-backports main\n",
    );
    const [source] = parseAptFile({ path: LIST, text });
    expect(findMainSource([source!], { ...BOOKWORM, architecture: "arm64" })).toBe(source);
    expect(findMainSource([source!], { ...BOOKWORM, architecture: "riscv64" })).toBeNull();
  });

  it("a deb822 stanza that is disabled, for sources only or for i386 is none", () => {
    const stanza = (more: string, types = "deb") =>
      `Types: ${types}\nURIs: http://deb.example.org/debian\nSuites: bookworm\nComponents: main\n${more}`;
    expect(derive({ path: SOURCES, text: stanza("") })).not.toBeNull();
    expect(derive({ path: SOURCES, text: stanza("Enabled: no\n") })).toBeNull();
    expect(derive({ path: SOURCES, text: stanza("Architectures: i386\n") })).toBeNull();
    expect(derive({ path: SOURCES, text: stanza("", "deb-src") })).toBeNull();
  });

  it("a key inside the stanza is carried over whole", () => {
    const key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGPL\n -----END";
    const text = `Types: deb\nURIs: http://a.example.org/debian http://b.example.org/debian\n` +
      `Suites: bookworm\nComponents: main\nTrusted: no\n${key}\n`;
    expect(derive({ path: SOURCES, text })?.text).toBe(
      "Types: deb\nURIs: http://a.example.org/debian http://b.example.org/debian\n" +
        `Suites: bookworm-backports\nComponents: main\nTrusted: no\n${key}\n`,
    );
  });

  it("another archive with a suite named bookworm is not taken for Debian's", () => {
    const others = "deb [signed-by=/k/n.gpg] https://node.example.org/node_20.x bookworm main\n" +
      "deb https://packages.example.org/debian/12/prod bookworm main\n" +
      "deb https://docker.example.org/linux/debian bookworm stable\n";
    const text = `${others}deb https://mirror.example.org/debian bookworm main\n`;
    expect(derive({ path: LIST, text })?.text)
      .toBe("deb https://mirror.example.org/debian bookworm-backports main\n");
    const renamed = `${others}deb https://mirror.example.org/d12/ bookworm main\n` +
      "deb https://mirror.example.org/d12 bookworm-updates main\n";
    expect(derive({ path: LIST, text: renamed })?.text)
      .toBe("deb https://mirror.example.org/d12/ bookworm-backports main\n");
  });

  it("backports that are there already are seen in both notations", () => {
    const has = (path: string, text: string) =>
      hasBackports(parseAptFile({ path, text }), BOOKWORM);
    expect(has(SOURCES, CLOUD_IMAGE)).toBe(true);
    expect(has(LIST, "deb http://deb.example.org/debian bookworm-backports main\n")).toBe(true);
    expect(has(LIST, "# deb http://deb.example.org/debian bookworm-backports main\n")).toBe(false);
    expect(has(LIST, "deb http://deb.example.org/debian bookworm-backports contrib\n")).toBe(false);
    expect(has(SOURCES, CONTAINER_IMAGE)).toBe(false);
  });

  it("what is derived is itself recognised: the second time there is nothing to write", () => {
    for (
      const file of [{ path: SOURCES, text: CONTAINER_IMAGE }, { path: LIST, text: INSTALLER }]
    ) {
      expect(hasBackports(parseAptFile(derive(file)!), BOOKWORM)).toBe(true);
    }
  });

  it("files that apt does not read are not read", () => {
    const text = "deb http://deb.example.org/debian bookworm main\n";
    expect(parseAptFile({ path: "/etc/apt/sources.list.d/old.list.save", text })).toEqual([]);
  });
});

describe("planSetup()", () => {
  it("root on Debian 12 gets the adapter from backports, then the rest, after one update", () => {
    const plan = planSetup(machine({ missing: ["adapter", "chromium", "pip"] }));
    expect(plan).toMatchObject({ mayRun: true, unmet: [], notes: [] });
    expect(shown(plan, machine({}))).toEqual([
      "printf '%s\\n' 'Types: deb' 'URIs: http://deb.example.org/debian' " +
      "'Suites: bookworm-backports' 'Components: main' " +
      "'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' | " +
      "tee /etc/apt/sources.list.d/tessera-backports.sources",
      "apt-get -o DPkg::Lock::Timeout=120 update",
      "apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends " +
      "-t bookworm-backports mesa-vulkan-drivers libvulkan1",
      "apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends " +
      "python3 python3-pip chromium",
    ]);
  });

  it("nothing missing, nothing planned", () => {
    expect(planSetup(machine({ missing: [] }))).toMatchObject({ steps: [], notes: [], unmet: [] });
  });

  it("someone else than root gets exactly the commands, with sudo where there is sudo", () => {
    const user = machine({ isRoot: false, hasSudo: true });
    const plan = planSetup(user);
    expect(plan).toMatchObject({ mayRun: false, unmet: ["adapter"] });
    const lines = shown(plan, user);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^printf .* \| sudo tee \/etc\/apt\/sources\.list\.d\/tessera-/);
    expect(lines[1]).toBe("sudo apt-get -o DPkg::Lock::Timeout=120 update");
    expect(lines[2]).toMatch(/^sudo apt-get .* -t bookworm-backports mesa-vulkan-drivers/);
    expect(shown(plan, { ...user, hasSudo: false }).join()).not.toContain("sudo");
  });

  it("arm64 takes the entry for arm64", () => {
    const text = "deb [arch=amd64] http://a.example.org/debian bookworm main\n" +
      "deb [arch=arm64] http://b.example.org/debian bookworm main\n";
    const plan = planSetup(machine({ architecture: "aarch64", aptFiles: [{ path: LIST, text }] }));
    expect(plan.steps[0]).toEqual({
      kind: "write",
      file: {
        path: "/etc/apt/sources.list.d/tessera-backports.list",
        text: "deb [arch=arm64] http://b.example.org/debian bookworm-backports main\n",
      },
    });
  });

  it("configured backports are used, not written again", () => {
    const plan = planSetup(machine({ aptFiles: [{ path: SOURCES, text: CLOUD_IMAGE }] }));
    expect(plan.steps.map((step) => step.kind)).toEqual(["command", "command"]);
    expect(shown(plan, machine({}))[1]).toContain("-t bookworm-backports mesa-vulkan-drivers");
  });

  it("Debian 13 and testing have the adapter in their own archive", () => {
    for (const release of ["VERSION_ID=13\nVERSION_CODENAME=trixie", "VERSION_CODENAME=forky"]) {
      const plan = planSetup(machine({ osRelease: `ID=debian\n${release}\n` }));
      expect(plan.unmet).toEqual([]);
      expect(shown(plan, machine({})).join()).not.toContain("backports");
    }
  });

  it("no source to derive from: says which one to add", () => {
    const plan = planSetup(machine({ aptFiles: [] }));
    expect(plan).toMatchObject({ steps: [], unmet: ["adapter"] });
    expect(plan.notes[0]).toContain('add "bookworm-backports" and set up again');
  });

  it("Ubuntu has Chromium only as a snap, and Mesa new enough since 24.04", () => {
    const ubuntu = (version: string) =>
      `PRETTY_NAME="Ubuntu ${version}"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="${version}"\n` +
      "VERSION_CODENAME=noble\n";
    const recent = planSetup(
      machine({ osRelease: ubuntu("24.04"), missing: ["adapter", "chromium"] }),
    );
    expect(recent).toMatchObject({ mayRun: true, unmet: ["chromium"] });
    expect(recent.notes[0]).toContain("Ubuntu 24.04 has it only as a snap");
    expect(shown(recent, machine({}))[1]).toMatch(/recommends mesa-vulkan-drivers libvulkan1$/);

    const old = planSetup(machine({ osRelease: ubuntu("22.04") }));
    expect(old).toMatchObject({ steps: [], unmet: ["adapter"] });
    expect(old.notes[0]).toContain("That of Ubuntu 22.04 is too old");
  });

  it("a system we do not know, or one without apt, is told what to install", () => {
    for (
      const other of [
        machine({ osRelease: "ID=fedora\n", hasApt: false }),
        machine({ os: "darwin", osRelease: "" }),
      ]
    ) {
      const plan = planSetup(other);
      expect(plan).toMatchObject({ steps: [], mayRun: false, unmet: ["adapter"] });
      expect(plan.notes[0]).toContain("Mesa 25 or later");
    }
  });

  it("a machine with a GPU is left as it is", () => {
    const plan = planSetup(machine({ hasHardware: true, missing: ["chromium", "pip"] }));
    expect(plan).toMatchObject({ steps: [], mayRun: false });
    expect(plan.notes).toHaveLength(2);
  });
});

describe("productionLock()", () => {
  const lock = {
    version: "5",
    specifiers: {
      "npm:@x/app@1.0.0": "1.0.0",
      "npm:peer@2.0.0": "2.0.0_shared@3.0.0",
      "npm:shared@3.0.0": "3.0.0",
      "npm:tests@4.0.0": "4.0.0",
    },
    npm: {
      "@x/app@1.0.0": { integrity: "sha512-a", dependencies: ["shared@3.0.0"] },
      "peer@2.0.0_shared@3.0.0": { integrity: "sha512-b", optionalDependencies: ["only"] },
      "shared@3.0.0": { integrity: "sha512-c" },
      "shared@9.0.0": { integrity: "sha512-d" },
      "only@1.2.3": { integrity: "sha512-e" },
      "tests@4.0.0": { integrity: "sha512-f", dependencies: ["shared@9.0.0"] },
    },
    workspace: { packageJson: { dependencies: ["npm:tests@4.0.0"] } },
  } satisfies Lock & Record<string, unknown>;

  it("keeps what the dependencies reach, with its checksums, and nothing of the tests", () => {
    const production = productionLock<Lock>(lock, {
      dependencies: { "@x/app": "1.0.0", peer: "2.0.0" },
      devDependencies: { shared: "3.0.0", tests: "4.0.0" },
    });
    expect(Object.keys(production.npm)).toEqual([
      "@x/app@1.0.0",
      "peer@2.0.0_shared@3.0.0",
      "shared@3.0.0",
      "only@1.2.3",
    ]);
    expect(Object.keys(production.specifiers)).toEqual([
      "npm:@x/app@1.0.0",
      "npm:peer@2.0.0",
      "npm:shared@3.0.0",
    ]);
    expect(production.npm["shared@3.0.0"]).toEqual({ integrity: "sha512-c" });
  });
});

describe("the project's own files", () => {
  const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
  const packageJson = JSON.parse(read("package.json"));
  const lock: Lock = JSON.parse(read("deno.lock"));

  it("npm scripts are the tasks, through the same Deno", () => {
    const tasks = Object.keys(JSON.parse(read("deno.json")).tasks);
    expect(tasks).toEqual(expect.arrayContaining(
      ["run", "node", "signaling", "chat", "verify", "bench", "sim", "test", "ok", "setup"],
    ));
    expect(packageJson.scripts).toEqual(
      Object.fromEntries(tasks.map((name) => [name, `npx --yes deno@2.9.6 task ${name}`])),
    );
  });

  it("versions are exact and locked, from whatever registry the machine has", () => {
    const all = { ...packageJson.dependencies, ...packageJson.devDependencies };
    for (const [name, version] of Object.entries(all)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      expect(lock.specifiers, name).toHaveProperty([`npm:${name}@${version}`]);
    }
    expect(read("deno.lock")).not.toContain("://");
  });

  it("running a model downloads none of the tests' packages", () => {
    const keys = Object.keys(productionLock(lock, packageJson).npm);
    expect(keys.some((key) => key.startsWith("webgpu@"))).toBe(true);
    for (const name of ["vitest", "openai", "tokenizers", "fast-check", "playwright-core"]) {
      expect(keys.filter((key) => key.startsWith(`${name}@`))).toEqual([]);
    }
  });
});

function derive(file: { path: string; text: string }) {
  const main = findMainSource(parseAptFile(file), BOOKWORM);
  return main && backportsFile(main, BOOKWORM.codename);
}

function shown(plan: ReturnType<typeof planSetup>, on: Machine): string[] {
  return plan.steps.map((step) => showStep(step, on));
}

/** Root on a Debian 12 container without an adapter, unless said otherwise. */
function machine(changes: Partial<Machine>): Machine {
  return {
    os: "linux",
    architecture: "x86_64",
    isRoot: true,
    hasSudo: false,
    hasApt: true,
    osRelease: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n' +
      "VERSION_CODENAME=bookworm\n",
    aptFiles: [{ path: SOURCES, text: CONTAINER_IMAGE }],
    missing: ["adapter"],
    hasHardware: false,
    ...changes,
  };
}
