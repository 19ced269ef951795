import { readdirSync, readFileSync } from "node:fs";

/** What the operating system says of a process. In MB of 1,048,576 bytes. */
export interface Memory {
  readonly rss: number;
  /** Each shared page counted for its part. */
  readonly pss: number;
  /** Anonymous pages: what the program itself made, without the mapped executable. */
  readonly private: number;
  /** The highest RSS so far. */
  readonly peak: number;
}

const CLOCK_TICK_MS = 10;

/**
 * User and system time so far, of all threads. Linux counts it in ticks for the process, and in nanoseconds for each
 * thread that still lives: the larger sum is the better one. `ps` knows ticks only.
 */
export function cpuMs(pid: number): number {
  if (process.platform !== "linux") return cpuMsOfPs(pid);
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Math.max((Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS, cpuMsOfThreads(pid));
}

function cpuMsOfThreads(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      // It has ended meanwhile; the ticks of the process hold its time.
    }
  }
  return nanoseconds / 1e6;
}

/** Linux tells all four; elsewhere RSS has to do for each. */
export function memoryOf(pid: number): Memory {
  if (process.platform !== "linux") {
    const rss = Number(ps(pid, "rss")) / 1024;
    return { rss, pss: rss, private: rss, peak: rss };
  }
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return {
    rss: megabytes(status, "VmRSS"),
    pss: megabytes(rollup, "Pss"),
    private: megabytes(status, "RssAnon"),
    peak: megabytes(status, "VmHWM"),
  };
}

function megabytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) / 1024;
}

/** As in `1-02:03:04.05`, days and hours being left out when they are none. */
function cpuMsOfPs(pid: number): number {
  const [clock = "", days = "0"] = ps(pid, "cputime").split("-").toReversed();
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return (Number(days) * 86_400 + seconds) * 1000;
}

function ps(pid: number, field: string): string {
  return Bun.spawnSync(["ps", "-o", `${field}=`, "-p", String(pid)])
    .stdout.toString()
    .trim();
}
