import { readdirSync, readFileSync } from "node:fs";

/** Processes that have this folder for their home; none can be told where there is no /proc. */
export function processesOf(home: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const isTheirs = readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(`HOME=${home}`);
      const isZombie = /^State:\s+Z/m.test(readFileSync(`/proc/${name}/status`, "latin1"));
      return isTheirs && !isZombie ? [Number(name)] : [];
    } catch {
      return []; // It has ended meanwhile, or is another user's.
    }
  });
}
