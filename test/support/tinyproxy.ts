import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, isOpen } from "./ports.ts";

/** A real outbound proxy, in a process of its own. */
export interface Proxy {
  /** With its user and password. */
  readonly url: string;
  readonly port: number;
  /** `host:port` of every tunnel that was asked for since the last look. */
  tunnels(): string[];
  stop(): Promise<void>;
}

/** True where a proxy can be run and names can be given to 127.0.0.1 for single processes. */
export function canRunProxy(): boolean {
  if (!Bun.which("tinyproxy") || !Bun.which("unshare") || !Bun.which("openssl")) return false;
  return Bun.spawnSync(["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"]).exitCode === 0;
}

/** A command prefix under which `names` are this machine, without a change to the machine's own hosts file. */
export function withHosts(folder: string, names: readonly string[]): string[] {
  const hosts = join(folder, "hosts");
  writeFileSync(hosts, `127.0.0.1 localhost ${names.join(" ")}\n`);
  return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts];
}

/** Listens on a free port of 127.0.0.1 and wants a password. */
export async function startProxy(names: readonly string[]): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-proxy-"));
  const port = freePort();
  const log = join(folder, "log");
  writeFileSync(log, "");
  writeFileSync(
    join(folder, "conf"),
    `Port ${port}\nListen 127.0.0.1\nTimeout 600\nLogFile "${log}"\nLogLevel Connect\nMaxClients 100\n` +
      "BasicAuth somebody s3cret-word\nAllow 127.0.0.1\n",
  );
  const child = Bun.spawn([...withHosts(folder, names), "tinyproxy", "-d", "-c", join(folder, "conf")], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  for (let tries = 0; !(await isOpen(port)); tries += 1) {
    if (tries === 100) throw new Error("tinyproxy did not start");
    await Bun.sleep(20);
  }
  let read = 0;
  return {
    url: `http://somebody:s3cret-word@127.0.0.1:${port}`,
    port,
    tunnels() {
      const text = readFileSync(log, "utf8");
      const news = text.slice(read);
      read = text.length;
      return [...news.matchAll(/CONNECT (\S+) HTTP/g)].map((match) => match[1] ?? "");
    },
    async stop() {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
