import { RelayError } from "../../lib/errors.ts";
import { NAME } from "../../version.ts";
import type { Egress } from "../../upstream/egress.ts";
import { download } from "./download.ts";

const TEXT = { timeoutMs: 30_000, maxBytes: 64 * 1024 };
/** An archive is about 56 MB; this is the time that it takes at 95 KB/s. */
const ARCHIVE = { timeoutMs: 10 * 60_000, maxBytes: 512 * 1024 * 1024 };

const ANSWERED_BY_OTHERS =
  "Nothing was changed. A network with a page to sign in on, or a proxy, may answer in its place: look at that address in a browser.";

/** Where releases are, in the layout that install.sh reads too, and the way there. */
export interface Releases {
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly egress: Egress;
}

/** Version of the newest release, as in `1.2.3`. */
export async function newestVersion(releases: Releases): Promise<string> {
  const url = `${releases.baseUrl}/latest/download/VERSION`;
  const text = decode(await download(releases.egress, url, TEXT)).trim();
  const version = /^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/.exec(text)?.[1];
  if (version !== undefined) return version;
  throw new RelayError("update_failed", `${url} does not hold a version.`, {
    hint: ANSWERED_BY_OTHERS,
  });
}

/** The executable of a release for one platform, out of an archive whose checksum is right. */
export async function fetchExecutable(
  releases: Releases,
  version: string,
  target: string,
  onProgress: (bytes: number) => void,
): Promise<Uint8Array> {
  const file = `${NAME}-${target}.tar.gz`;
  const folder = `${releases.baseUrl}/download/v${version}`;
  const sums = decode(await download(releases.egress, `${folder}/SHA256SUMS`, TEXT));
  if (!/^[0-9a-f]{64} [ *]/im.test(sums)) {
    throw new RelayError("update_failed", `${folder}/SHA256SUMS is no list of checksums.`, {
      hint: ANSWERED_BY_OTHERS,
    });
  }
  const expected = checksumOf(sums, file);
  if (expected === undefined) {
    throw new RelayError("update_failed", `Release ${version} has nothing for ${target}.`, {
      hint: "Nothing was changed; build it from source, or wait for the next release.",
    });
  }
  const archive = await download(releases.egress, `${folder}/${file}`, { ...ARCHIVE, onProgress });
  if (new Bun.CryptoHasher("sha256").update(archive).digest("hex") !== expected) {
    throw new RelayError("update_failed", `The checksum of ${file} is wrong.`, {
      hint: "Nothing was changed; the file was damaged on its way, or is not what was released. Try again later.",
    });
  }
  return unpack(archive, target.startsWith("windows") ? `${NAME}.exe` : NAME, file);
}

/** The digest that a SHA256SUMS text gives for a file; a `*` marks binary mode. */
export function checksumOf(sums: string, file: string): string | undefined {
  for (const line of sums.split("\n")) {
    const [, digest, name] = /^([0-9a-f]{64}) [ *](.+?)\r?$/i.exec(line) ?? [];
    if (name === file) return digest?.toLowerCase();
  }
  return undefined;
}

async function unpack(archive: Uint8Array, name: string, file: string): Promise<Uint8Array> {
  const files = await new Bun.Archive(archive).files().catch(() => undefined);
  const executable = files?.get(name) ?? files?.get(`./${name}`);
  if (executable) return new Uint8Array(await executable.arrayBuffer());
  throw new RelayError("update_failed", `${file} does not hold ${name}.`, { hint: "Nothing was changed." });
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
