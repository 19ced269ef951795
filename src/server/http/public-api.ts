import { truncated } from "../../codex/wire/failure.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject, parseJson } from "../../lib/json.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import type { CallerKey } from "../access.ts";
import { holdBudget, type LimitDependencies } from "../key-limits.ts";
import { readBody } from "./body.ts";
import type { Admitted } from "../handle.ts";
import { passedHeaders } from "./reply.ts";
import type { RequestLifetime } from "../lifetime.ts";
import { decode, isNotOffered } from "./routes.ts";
import { UsageTail } from "./usage-tail.ts";

/** Paths that exist at the public API, whether or not the relay offers them for plan logins. */
export function isPublicApiPath(path: string): boolean {
  return path.startsWith("/v1/") || (isNotOffered(path) && !path.startsWith("/api/"));
}

export interface PublicApiDependencies extends LimitDependencies {
  readonly upstream: UpstreamClient;
}

/** The way of API-key logins: they speak to the public API, which knows every route itself. */
export class PublicApi {
  readonly #deps: PublicApiDependencies;
  readonly #maxBodyBytes: () => number;

  constructor(deps: PublicApiDependencies, maxBodyBytes: () => number) {
    this.#deps = deps;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Without a login it is no: the answer that needs one says so itself. */
  async isLogin(): Promise<boolean> {
    try {
      return (await this.#deps.upstream.credentials()).kind === "api-key";
    } catch {
      return false;
    }
  }

  /** Bytes in, bytes out. */
  async forward(admitted: Admitted, path: string): Promise<Response> {
    const { request, caller, lifetime, record } = admitted;
    record.dialect = "public-api";
    const hasBody = request.method !== "GET" && request.method !== "HEAD";
    const body = hasBody ? await readBody(admitted, this.#maxBodyBytes()) : undefined;
    admitted.waitForever();
    const allowed = caller.key?.limits?.models;
    if (allowed && path !== "/v1/models") refuseUnnamedModel(caller.key, allowed, path, body);
    await holdBudget(admitted, this.#deps, () => (body?.length ?? 0) / BYTES_PER_TOKEN);
    const { url, method, headers: asked } = request;
    const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
    const reply = await this.#deps.upstream.forward(
      { method, path: path.replace(/^\/v1(?=\/)/, "") + query, headers: asked, body, observer: record },
      await this.#deps.upstream.credentials(),
      lifetime.signal,
    );
    const headers = passedHeaders(reply.headers);
    record.requestId = headers.get("x-request-id") ?? record.requestId;
    lifetime.isStreaming = reply.body !== null;
    const tail = caller.key === undefined ? undefined : new UsageTail();
    const onEnd = () => (record.tokens ??= tail?.tokens());
    const passed = reply.body && untilEnd(reply.body, lifetime, (chunk) => tail?.add(chunk), onEnd);
    return new Response(passed, { status: reply.status, headers });
  }
}

/** Of a body that is passed on unread. */
const BYTES_PER_TOKEN = 4;

/** A key that may use some models asks for nothing whose model cannot be told. Throws `model_not_allowed`. */
function refuseUnnamedModel(
  key: CallerKey | undefined,
  allowed: readonly string[],
  path: string,
  body: Uint8Array | undefined,
): void {
  const json = body && parseJson(new TextDecoder().decode(body));
  const ofPath = /\/models\/([^/]+)$/.exec(path)?.[1];
  const model = isObject(json) && typeof json["model"] === "string" ? json["model"] : ofPath && decode(ofPath);
  if (model !== undefined && allowed.includes(model)) return;
  const what = model === undefined ? `ask ${path}, which names no model` : `use the model '${model.slice(0, 100)}'`;
  throw new RelayError("model_not_allowed", `The key '${key?.name}' may not ${what}.`, {
    param: "model",
    shouldRetry: false,
    hint: `It may use ${allowed.join(", ")}.`,
  });
}

/** The bytes as they are, and the request's lifetime until their end. */
export function untilEnd(
  body: ReadableStream<Uint8Array>,
  lifetime: RequestLifetime,
  onChunk: (chunk: Uint8Array) => void = () => {},
  onEnd: () => void = () => {},
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          onChunk(value);
          return controller.enqueue(value);
        }
        onEnd();
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
