import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Disk extends Disposable {
  readonly place: string;
}

/** True where this user may mount file systems. */
export const canMount = ((): boolean => {
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  const folder = mkdtempSync(join(tmpdir(), "plansocket-mount-"));
  try {
    using _ = mountDisk(join(folder, "disk"), "size=16k");
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
})();

/** A file system in memory; `options` are those of tmpfs, as in `size=64k`. */
export function mountDisk(place: string, options: string): Disk {
  mkdirSync(place);
  const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `mode=0700,${options}`, "tmpfs", place]);
  if (exitCode !== 0) throw new Error(stderr.toString());
  // Lazily: whoever still has a file open there keeps it open.
  return { place, [Symbol.dispose]: () => void Bun.spawnSync(["umount", "--lazy", place]) };
}

/** Takes all space but `pages` of 4 KiB; given back by removing the file whose path it returns. */
export function fill(place: string, pages: number): string {
  const filler = join(place, "filler");
  const page = Buffer.alloc(4096);
  const chunks: Buffer[] = [];
  for (;;) {
    try {
      writeFileSync(filler, Buffer.concat([...chunks, page]));
      chunks.push(page);
    } catch {
      break;
    }
  }
  writeFileSync(filler, Buffer.concat(chunks.slice(0, Math.max(0, chunks.length - pages))));
  return filler;
}
