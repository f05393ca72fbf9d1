/**
 * Where a machine's Debian packages come from, and its backports from the same place. No address is
 * written down here: the backports source is the machine's own main source with another suite.
 *
 * @module
 */

/** One configuration file of apt. */
export interface AptFile {
  readonly path: string;
  readonly text: string;
}

/** One enabled `deb` source, from either of apt's two notations. */
export interface AptSource {
  readonly notation: "deb822" | "list";
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Empty for every architecture. */
  readonly architectures: readonly string[];
  /**
   * What a sibling source must repeat: the bracketed options of a list entry without the brackets,
   * or the remaining fields of a deb822 stanza, one a line.
   */
  readonly options: string;
}

/** A Debian release on one architecture, for example bookworm on amd64. */
export interface DebianTarget {
  readonly codename: string;
  /** Debian's name, for example amd64 or arm64. */
  readonly architecture: string;
}

const BACKPORTS_PATH = "/etc/apt/sources.list.d/tessera-backports";

/** The enabled sources of one file. The notation follows from the file's name, as in apt. */
export function parseAptFile({ path, text }: AptFile): AptSource[] {
  if (path.endsWith(".sources")) return parseDeb822(text);
  return path.endsWith(".list") ? parseList(text) : [];
}

/** Whether some source already offers the release's backports. */
export function hasBackports(sources: readonly AptSource[], target: DebianTarget): boolean {
  return sources.some((source) =>
    serves(source, target) && source.suites.includes(`${target.codename}-backports`)
  );
}

/** The Debian archive itself among the sources, or null. */
export function findMainSource(
  sources: readonly AptSource[],
  target: DebianTarget,
): AptSource | null {
  const candidates = sources.filter((source) =>
    serves(source, target) && source.suites.includes(target.codename)
  );
  const scored = candidates.map((source) => ({
    source,
    score: scoreOf(source, { sources, codename: target.codename }),
  }));
  // A stable sort: among equals the machine's first source wins.
  return scored.sort((a, b) => b.score - a.score)[0]?.source ?? null;
}

/** The file that adds the release's backports from the address of `main`. */
export function backportsFile(main: AptSource, codename: string): AptFile {
  const suite = `${codename}-backports`;
  if (main.notation === "list") {
    const options = main.options === "" ? "" : `[${main.options}] `;
    const lines = main.uris.map((uri) => `deb ${options}${uri} ${suite} main\n`);
    return { path: `${BACKPORTS_PATH}.list`, text: lines.join("") };
  }
  const fields = [
    "Types: deb",
    `URIs: ${main.uris.join(" ")}`,
    `Suites: ${suite}`,
    "Components: main",
    ...(main.options === "" ? [] : [main.options]),
  ];
  return { path: `${BACKPORTS_PATH}.sources`, text: `${fields.join("\n")}\n` };
}

/** The packages are built for the target and come from the component that has Mesa. */
function serves(source: AptSource, { architecture }: DebianTarget): boolean {
  return source.components.includes("main") &&
    (source.architectures.length === 0 || source.architectures.includes(architecture));
}

/**
 * Other archives name a suite after the release too (`.../node_20.x bookworm main`). Only Debian's
 * own also has `-updates` beside it, is signed by Debian's keyring, or ends in "/debian".
 */
function scoreOf(
  source: AptSource,
  { sources, codename }: { sources: readonly AptSource[]; codename: string },
): number {
  const hasUpdates = sources.some((other) =>
    other.suites.includes(`${codename}-updates`) &&
    other.uris.some((uri) => source.uris.some((own) => trimSlash(own) === trimSlash(uri)))
  );
  const isSignedByDebian = source.options.includes("debian-archive-keyring");
  const isNamedDebian = source.uris.some((uri) => /\/debian$/.test(trimSlash(uri)));
  return (hasUpdates ? 4 : 0) + (isSignedByDebian ? 2 : 0) + (isNamedDebian ? 1 : 0);
}

function trimSlash(uri: string): string {
  return uri.replace(/\/+$/, "");
}

/** `deb [options] uri suite component...`, one a line. */
function parseList(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (!match) continue;
    const [, options = "", uri = "", suite = "", components = ""] = match;
    if (uri.startsWith("cdrom:")) continue;
    sources.push({
      notation: "list",
      uris: [uri],
      suites: [suite],
      components: words(components),
      architectures: /(?:^|\s)arch=(\S+)/.exec(options)?.[1]?.split(",") ?? [],
      options: words(options).join(" "),
    });
  }
  return sources;
}

/** Stanzas of `Field: value`, divided by empty lines; a value goes on in indented lines. */
function parseDeb822(text: string): AptSource[] {
  const lines = text.split(/\r?\n/).filter((line) => !line.startsWith("#"));
  const sources: AptSource[] = [];
  for (const stanza of lines.join("\n").split(/\n\s*\n/)) {
    const fields = parseFields(stanza);
    const listOf = (name: string) => words(fields.get(name)?.value ?? "");
    const uris = listOf("uris").filter((uri) => !uri.startsWith("cdrom:"));
    const isEnabled = !/^(no|false|off|0|without|disable)$/i
      .test(fields.get("enabled")?.value.trim() ?? "yes");
    if (!isEnabled || uris.length === 0 || !listOf("types").includes("deb")) continue;
    const kept = [...fields].filter(([name]) => !OWN_FIELDS.has(name));
    sources.push({
      notation: "deb822",
      uris,
      suites: listOf("suites"),
      components: listOf("components"),
      architectures: listOf("architectures"),
      options: kept.map(([, field]) => `${field.name}:${field.value}`).join("\n"),
    });
  }
  return sources;
}

/** Fields that a sibling source states for itself, or that only describe. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  ...["types", "uris", "suites", "components", "enabled"],
  ...["description", "x-repolib-name", "x-repolib-id"],
]);

/** By lower-case name; names and values as they stand. */
function parseFields(stanza: string): Map<string, { name: string; value: string }> {
  const fields = new Map<string, { name: string; value: string }>();
  let last: { name: string; value: string } | null = null;
  for (const line of stanza.split("\n")) {
    if (/^[ \t]/.test(line)) {
      if (last) last.value += `\n${line}`;
      continue;
    }
    const colon = line.indexOf(":");
    if (colon < 1) continue;
    last = { name: line.slice(0, colon), value: line.slice(colon + 1).trimEnd() };
    fields.set(last.name.toLowerCase(), last);
  }
  return fields;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
