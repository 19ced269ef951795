import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Real file systems for tests; needs root on Linux. Every mount is undone by `unmount`. */
export function mountTmpfs(folder: string, size = "96k"): boolean {
  return run("mount", "-t", "tmpfs", "-o", `mode=0700,size=${size}`, "tmpfs", folder);
}

/** Mounts a file or folder over itself, so that it is a mount point of its own. */
export function bindToItself(path: string): boolean {
  return run("mount", "--bind", path, path);
}

/** Makes a mount read-only, or writable again. */
export function remount(path: string, mode: "ro" | "rw"): boolean {
  return run("mount", "-o", `remount,bind,${mode}`, path);
}

export function unmount(path: string): void {
  run("umount", "--lazy", path);
}

/** True where this process may mount. */
export function canMount(): boolean {
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  const folder = mkdtempSync(join(tmpdir(), "plansocket-mount-"));
  const isMounted = mountTmpfs(folder);
  if (isMounted) unmount(folder);
  rmSync(folder, { recursive: true });
  return isMounted;
}

function run(...command: readonly string[]): boolean {
  return Bun.spawnSync([...command], { stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
}
