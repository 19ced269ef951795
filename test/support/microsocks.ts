import { freePort, isOpen } from "./ports.ts";
import { withHosts } from "./tinyproxy.ts";

/** A real SOCKS5 server, in a process of its own. */
export interface SocksServer {
  /** `user:password@host:port`. */
  readonly authority: string;
  readonly port: number;
  /** `host:port` of every connection that was asked for since the last look. */
  connections(): string[];
  stop(): Promise<void>;
}

export function canRunSocks(): boolean {
  if (!Bun.which("microsocks") || !Bun.which("unshare") || !Bun.which("openssl")) return false;
  return Bun.spawnSync(["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"]).exitCode === 0;
}

/** Listens on a free port of 127.0.0.1, wants a password, and knows `names` as this machine. */
export async function startSocks(folder: string, names: readonly string[]): Promise<SocksServer> {
  const port = freePort();
  const login = ["-u", "somebody", "-P", "s3cret-word"];
  const command = [...withHosts(folder, names), "microsocks", "-i", "127.0.0.1", "-p", String(port), ...login];
  const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) text += decoder.decode(chunk, { stream: true });
  })();
  for (let tries = 0; !(await isOpen(port)); tries += 1) {
    if (tries === 100) throw new Error("microsocks did not start");
    await Bun.sleep(20);
  }
  return {
    authority: `somebody:s3cret-word@127.0.0.1:${port}`,
    port,
    connections() {
      const found = [...text.matchAll(/connected to (\S+)/g)].map((match) => match[1] ?? "");
      text = "";
      return found;
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}
