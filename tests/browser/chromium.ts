import { findProgram } from "../platform/find_program.ts";

const FLAGS = [
  "--headless",
  // Without it there is no adapter; with the next, the same one on machines with a GPU.
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-quic",
  "--disable-sync",
];

const EXIT_DEADLINE_MS = 5_000;

/** A page as one module, and how long it may take. */
export interface Page {
  /** JavaScript that posts JSON to /report. */
  readonly code: string;
  readonly deadlineMs: number;
}

/** Opens a page in headless Chromium; the JSON that it posts to /report. */
export async function reportOfPage({ code, deadlineMs }: Page): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const profile = await Deno.makeTempDir({ prefix: "tessera-chromium-" });
  const server = servePage(code, resolve);
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const deadline = setTimeout(
    () => reject(new Error(`The page posted no report within ${deadlineMs} ms`)),
    deadlineMs,
  );
  let chromium: Deno.ChildProcess | null = null;
  try {
    chromium = new Deno.Command(await findProgram("chromium"), {
      args: [
        ...FLAGS,
        ...(Deno.uid() === 0 ? ["--no-sandbox"] : []),
        `--user-data-dir=${profile}`,
        url,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    chromium.status.then(({ code }) => reject(new Error(`Chromium ended with exit code ${code}`)));
    return await promise;
  } finally {
    clearTimeout(deadline);
    if (chromium !== null) await end(chromium);
    await server.shutdown();
    await removeProfile(profile);
  }
}

function servePage(code: string, onReport: (report: unknown) => void) {
  const html = '<!doctype html><script type="module" src="/page.js"></script>';
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  return Deno.serve(options, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/report") {
      onReport(await request.json());
      return new Response(null, { status: 204 });
    }
    if (pathname === "/page.js") {
      return new Response(code, { headers: { "content-type": "text/javascript" } });
    }
    const status = pathname === "/" ? 200 : 404;
    return new Response(html, { status, headers: { "content-type": "text/html" } });
  });
}

/** Chromium's other processes may still write for a moment after it has ended. */
async function removeProfile(path: string): Promise<void> {
  const startMs = performance.now();
  while (true) {
    try {
      return await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (performance.now() - startMs > EXIT_DEADLINE_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** Asks Chromium to close, which ends its other processes too; makes it after a while. */
async function end(chromium: Deno.ChildProcess): Promise<void> {
  signal(chromium, "SIGTERM");
  const force = setTimeout(() => signal(chromium, "SIGKILL"), EXIT_DEADLINE_MS);
  await chromium.status;
  clearTimeout(force);
}

function signal(process: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    process.kill(name);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}
