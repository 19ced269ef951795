import { RelayError } from "../../lib/errors.ts";
import { isLoopbackName } from "../../lib/host.ts";
import { unreachable } from "../../lib/unreachable.ts";
import type { Egress } from "../../upstream/egress.ts";
import { errorName } from "../../lib/thrown.ts";

/** Release hosts lead from `latest` to a tag and from there to their storage. */
const MAX_REDIRECTS = 5;

export interface Limits {
  /** For the whole download, redirects included. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Called as the bytes come, with how many there are so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** The content of a URL after its redirects. Throws `update_failed` in words, and `upstream_unreachable`. */
export async function download(egress: Egress, url: string, limits: Limits): Promise<Uint8Array<ArrayBuffer>> {
  const signal = AbortSignal.timeout(limits.timeoutMs);
  let current = url;
  try {
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      assertSafe(current, url);
      const response = await egress.fetch(current, { signal });
      if (response.ok) return await bytesOf(response, current, limits);
      await response.body?.cancel();
      if (!isRedirect(response.status)) throw refused(current, response.status);
      current = nextOf(response, current);
    }
  } catch (error) {
    throw asFailure(error, current, egress, limits);
  }
  throw failure(`${url} leads from one address to the next without an end.`);
}

/** Executables are taken over TLS only; this machine needs none. A redirect leads to nothing that is less safe. */
function assertSafe(current: string, asked: string): void {
  const { protocol, hostname } = new URL(current);
  const isDowngrade = protocol !== "https:" && asked.startsWith("https:");
  if (protocol === "https:" || (protocol === "http:" && isLoopbackName(hostname) && !isDowngrade)) return;
  if (current === asked) {
    throw new RelayError("update_failed", `${asked} is not an https address.`, {
      hint: "Checksums from an address without TLS prove nothing: set PLANSOCKET_RELEASES_URL to one that has it.",
    });
  }
  throw failure(`${asked} leads to ${current}, which is no https address.`);
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

function nextOf(response: Response, current: string): string {
  const location = response.headers.get("location") ?? "";
  const next = location === "" ? null : URL.parse(location, current);
  if (next) return next.href;
  throw failure(`${current} answered with status ${response.status} and no address to go on to.`);
}

async function bytesOf(response: Response, url: string, limits: Limits): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(response, url)) {
    size += chunk.byteLength;
    if (size > limits.maxBytes) {
      throw new RelayError("update_failed", `${url} is larger than any release.`, {
        hint: "Nothing was changed; look at that address in a browser.",
      });
    }
    limits.onProgress?.(size);
    chunks.push(chunk);
  }
  return new Uint8Array(Bun.concatArrayBuffers(chunks));
}

async function* bodyOf(response: Response, url: string): AsyncGenerator<Uint8Array> {
  try {
    yield* response.body ?? [];
  } catch (error) {
    if (errorName(error) === "TimeoutError") throw error;
    throw new RelayError("update_failed", `The download from ${new URL(url).host} broke off.`, {
      cause: error,
      hint: "Nothing was changed; try again.",
    });
  }
}

function refused(url: string, status: number): RelayError {
  return new RelayError("update_failed", `${url} answered with status ${status}.`, {
    hint:
      status === 404
        ? "There is no such release, or PLANSOCKET_RELEASES_URL names another place."
        : "Nothing was changed; try again later.",
  });
}

function failure(message: string): RelayError {
  return new RelayError("update_failed", message, { hint: "Nothing was changed; ask whoever runs that place." });
}

function asFailure(error: unknown, url: string, egress: Egress, { timeoutMs }: Limits): RelayError {
  if (error instanceof RelayError) return error;
  const { host } = new URL(url);
  if (errorName(error) !== "TimeoutError") return unreachable(error, host, egress.proxyFor(url));
  return new RelayError("update_failed", `${host} took longer than ${timeoutMs / 1000} s.`, {
    hint: "Nothing was changed; try again later.",
  });
}
