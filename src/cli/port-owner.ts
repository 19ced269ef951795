import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Who listens on a TCP port of this machine. */
export interface PortOwner {
  readonly pid: number;
  /** As in `node`. */
  readonly name: string;
}

const LISTENING = "0A";
const LSOF_MS = 3000;

/** Undefined when nobody listens there, or when it cannot be told (other users' processes, other systems). */
export function portOwner(port: number): PortOwner | undefined {
  try {
    return process.platform === "linux" ? fromProc(port) : fromLsof(port);
  } catch {
    return undefined;
  }
}

function fromProc(port: number): PortOwner | undefined {
  const inodes = new Set(["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => socketsOn(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid) || !holdsOne(pid, inodes)) continue;
    return { pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, "utf8").trim() };
  }
  return undefined;
}

/** Inodes of the listening sockets in one of the kernel's tables; the port is in hexadecimal there. */
function socketsOn(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return tableText(table)
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(wanted) === true && state === LISTENING)
    .flatMap((columns) => columns[9] ?? []);
}

/** There is no table of IPv6 where that is switched off. */
function tableText(table: string): string {
  try {
    return readFileSync(table, "utf8");
  } catch {
    return "";
  }
}

function holdsOne(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    });
  } catch {
    // Somebody else's process, or one that has just ended.
    return false;
  }
}

function fromLsof(port: number): PortOwner | undefined {
  const { stdout } = Bun.spawnSync(["lsof", "-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"], { timeout: LSOF_MS });
  const [, pid, name] = /^p(\d+)\nc(.*)$/m.exec(stdout.toString()) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), name: name ?? "" };
}
