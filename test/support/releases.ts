import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How the archive of a release goes wrong on its way. */
type ArchiveFault = "cut" | "stall" | "changed" | "empty";

export interface Releases {
  /** For PLANSOCKET_RELEASES_URL. */
  readonly url: string;
  /** Paths in the order in which they were asked for. */
  readonly asked: string[];
  /** Resolves once a stalled archive has sent its first part. */
  readonly stalled: Promise<void>;
  /** Makes `version` the newest release; `program` is what its archives hold, by default a script that says so. */
  publish(version: string, options?: { targets?: readonly string[]; fault?: ArchiveFault; program?: string }): void;
  stop(): Promise<void>;
}

/** This machine as releases name it. */
export const THIS_PLATFORM = `${process.platform}-${process.arch}`;

/** A shell script that passes for the executable of a version. */
const programOf = (version: string) =>
  `#!/bin/sh\n[ "$1" = --version ] && echo "plansocket ${version} (abc1234)" && exit\necho "ran $*"\n`;

/** A release server on a free port of 127.0.0.1, in the layout of a repository's releases. */
export async function startReleases(): Promise<Releases> {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-releases-"));
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const faults = new Map<string, ArchiveFault>();
  const asked: string[] = [];
  const stalled = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const file = files.get(path);
    if (!file) {
      response.writeHead(404).end("Not Found");
      return;
    }
    const fault = faults.get(path);
    response.writeHead(200, { "content-length": file.byteLength });
    if (fault !== "cut" && fault !== "stall") {
      response.end(file);
      return;
    }
    // The first half, and then an end that is none, or nothing more.
    response.write(file.subarray(0, file.byteLength / 2), () => {
      if (fault === "cut") response.destroy();
      stalled.resolve();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const put = (version: string, name: string, content: Uint8Array<ArrayBuffer>, fault?: ArchiveFault) => {
    for (const path of [`/releases/download/v${version}/${name}`, `/releases/latest/download/${name}`]) {
      files.set(path, content);
      if (fault === undefined) faults.delete(path);
      else faults.set(path, fault);
    }
  };
  return {
    url: `http://127.0.0.1:${port}/releases`,
    asked,
    stalled: stalled.promise,
    publish(version, { targets = [THIS_PLATFORM], fault, program = programOf(version) } = {}) {
      const sums: string[] = [];
      for (const target of targets) {
        const name = `plansocket-${target}.tar.gz`;
        const archive = pack(folder, fault === "empty" ? "another-file" : "plansocket", program);
        sums.push(`${new Bun.CryptoHasher("sha256").update(archive).digest("hex")}  ${name}`);
        if (fault === "changed") archive[archive.length - 5] = (archive.at(-5) ?? 0) ^ 1;
        put(version, name, archive, fault);
      }
      const text = (content: string) => new Uint8Array(Buffer.from(content));
      put(version, "SHA256SUMS", text(`${sums.join("\n")}\n`));
      put(version, "VERSION", text(`${version}\n`));
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function pack(folder: string, name: string, program: string): Uint8Array<ArrayBuffer> {
  writeFileSync(join(folder, name), program, { mode: 0o755 });
  Bun.spawnSync(["tar", "-czf", join(folder, "archive"), "-C", folder, name]);
  return new Uint8Array(readFileSync(join(folder, "archive")));
}
