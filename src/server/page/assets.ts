import { readFileSync } from "node:fs";
import { join } from "node:path";

const SOURCE = join(import.meta.dir, "../../page");

/** A file of the status page, as it is served. */
export interface Asset {
  readonly contentType: string;
  readonly text: string;
}

/**
 * The files of the status page by name. Runs as a macro while the program is bundled (or first loaded from source), so
 * that the executable holds them. The bundler cannot call itself from a macro; its command can.
 */
export function pageAssets(): Record<string, Asset> {
  const script = Bun.spawnSync([process.execPath, "build", join(SOURCE, "main.ts"), "--target=browser", "--minify"]);
  if (!script.success) throw new Error(`The status page could not be built: ${script.stderr.toString()}`);
  const read = (name: string) => readFileSync(join(SOURCE, name), "utf8");
  return {
    "index.html": { contentType: "text/html; charset=utf-8", text: read("index.html") },
    "style.css": { contentType: "text/css; charset=utf-8", text: read("style.css") },
    "icon.svg": { contentType: "image/svg+xml", text: read("icon.svg") },
    "app.js": { contentType: "text/javascript; charset=utf-8", text: script.stdout.toString() },
  };
}
