import { RelayError } from "../../lib/errors.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { NAME } from "../../version.ts";
import type { Egress } from "../../upstream/egress.ts";

const TEXT_TIMEOUT_MS = 30_000;
/** An archive is about 50 MB; this is the time that it takes at 85 KB/s. */
const ARCHIVE_TIMEOUT_MS = 10 * 60_000;
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_ARCHIVE_BYTES = 512 * 1024 * 1024;

/** Where releases are, in the layout that install.sh reads too, and the way there. */
export interface Releases {
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly egress: Egress;
}

/** Version of the newest release, as in `1.2.3`. */
export async function newestVersion(releases: Releases): Promise<string> {
  const url = `${releases.baseUrl}/latest/download/VERSION`;
  const text = decode(await download(releases, url, TEXT_TIMEOUT_MS, MAX_TEXT_BYTES)).trim();
  const version = /^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$/.exec(text)?.[1];
  if (version !== undefined) return version;
  throw new RelayError("update_failed", `${url} does not hold a version.`, {
    hint: "Something between here and there may answer in its place; look at that address in a browser.",
  });
}

/** The executable of a release for one platform, out of an archive whose checksum is right. */
export async function fetchExecutable(releases: Releases, version: string, target: string): Promise<Uint8Array> {
  const file = `${NAME}-${target}.tar.gz`;
  const folder = `${releases.baseUrl}/download/v${version}`;
  const sums = decode(await download(releases, `${folder}/SHA256SUMS`, TEXT_TIMEOUT_MS, MAX_TEXT_BYTES));
  const expected = checksumOf(sums, file);
  if (expected === undefined) {
    throw new RelayError("update_failed", `Release ${version} has nothing for ${target}.`, {
      hint: "Nothing was changed; build it from source, or wait for the next release.",
    });
  }
  const archive = await download(releases, `${folder}/${file}`, ARCHIVE_TIMEOUT_MS, MAX_ARCHIVE_BYTES);
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

async function download(
  { egress }: Releases,
  url: string,
  timeoutMs: number,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const { host } = new URL(url);
  try {
    const response = await egress.fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    if (response.ok) return await bytesOf(response, maxBytes);
    await response.body?.cancel();
    throw new RelayError("update_failed", `${url} answered with status ${response.status}.`, {
      hint:
        response.status === 404
          ? "There is no such release, or PLANSOCKET_RELEASES_URL names another place."
          : "Nothing was changed; try again later.",
    });
  } catch (error) {
    if (error instanceof RelayError) throw error;
    if ((error as { name?: unknown }).name !== "TimeoutError") throw unreachable(error, host, egress.proxyFor(url));
    throw new RelayError("update_failed", `${host} took longer than ${timeoutMs / 1000} s.`, {
      hint: "Nothing was changed; try again later.",
    });
  }
}

async function bytesOf(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(response)) {
    size += chunk.byteLength;
    if (size > maxBytes) {
      throw new RelayError("update_failed", `${response.url} is larger than any release.`, {
        hint: "Nothing was changed; look at that address in a browser.",
      });
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Bun.concatArrayBuffers(chunks));
}

async function* bodyOf(response: Response): AsyncGenerator<Uint8Array> {
  try {
    yield* response.body ?? [];
  } catch (error) {
    if ((error as { name?: unknown }).name === "TimeoutError") throw error;
    throw new RelayError("update_failed", `The download from ${new URL(response.url).host} broke off.`, {
      cause: error,
      hint: "Nothing was changed; try again.",
    });
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
