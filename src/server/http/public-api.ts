import { truncated } from "../../codex/wire/failure.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import { readBody } from "./body.ts";
import type { Admitted } from "../handle.ts";
import { passedHeaders } from "./reply.ts";
import type { RequestLifetime } from "../lifetime.ts";
import { isNotOffered } from "./routes.ts";

/** Paths that exist at the public API, whether or not the relay offers them for plan logins. */
export function isPublicApiPath(path: string): boolean {
  return path.startsWith("/v1/") || (isNotOffered(path) && !path.startsWith("/api/"));
}

/** The way of API-key logins: they speak to the public API, which knows every route itself. */
export class PublicApi {
  readonly #upstream: UpstreamClient;
  readonly #maxBodyBytes: () => number;

  constructor(upstream: UpstreamClient, maxBodyBytes: () => number) {
    this.#upstream = upstream;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Without a login it is no: the answer that needs one says so itself. */
  async isLogin(): Promise<boolean> {
    const credentials = await this.#upstream.credentials().catch(() => undefined);
    return credentials?.kind === "api-key";
  }

  /** Bytes in, bytes out. */
  async forward(admitted: Admitted, path: string): Promise<Response> {
    const { request, lifetime, record } = admitted;
    record.dialect = "public-api";
    const hasBody = request.method !== "GET" && request.method !== "HEAD";
    const body = hasBody ? await readBody(admitted, this.#maxBodyBytes()) : undefined;
    admitted.waitForever();
    const { url, method, headers: asked } = request;
    const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
    const reply = await this.#upstream.forward(
      { method, path: path.replace(/^\/v1(?=\/)/, "") + query, headers: asked, body },
      await this.#upstream.credentials(),
      lifetime.signal,
    );
    const headers = passedHeaders(reply.headers);
    record.requestId = headers.get("x-request-id") ?? record.requestId;
    lifetime.isStreaming = reply.body !== null;
    return new Response(reply.body && untilEnd(reply.body, lifetime), { status: reply.status, headers });
  }
}

/** The bytes as they are, and the request's lifetime until their end. */
export function untilEnd(body: ReadableStream<Uint8Array>, lifetime: RequestLifetime): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        lifetime.end();
        controller.close();
      } catch (error) {
        lifetime.end(truncated(error));
        // Without a reason: one would be printed into the log, with the code around it.
        controller.error();
      }
    },
    cancel: () => lifetime.leave(),
  });
}
