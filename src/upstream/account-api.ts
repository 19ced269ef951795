import type { CredentialProvider, Credentials } from "../auth/credentials.ts";
import { codexEndpointUrl, type CodexEndpoint } from "../codex/wire/codex-endpoint.ts";
import { isRegionRefusal } from "../codex/wire/failure.ts";
import { RelayError } from "../lib/errors.ts";
import { credentialHeaders } from "./credential-headers.ts";
import type { HttpTransport } from "./transport/http.ts";
import type { UpstreamOptions } from "./options.ts";
import { readRefusal } from "./refusal.ts";
import { LinkedAbort } from "./transport/linked-abort.ts";

/** For questions beside the traffic, which must not hold it up. */
export const ACCOUNT_TIMEOUT_MS = 5000;

export interface QuestionsOptions {
  readonly credentials: CredentialProvider;
  readonly http: HttpTransport;
  /** Headers that name the relay. */
  readonly identity: Readonly<Record<string, string>>;
  /** As they are at the time of a question. */
  readonly options: () => UpstreamOptions;
  readonly now: () => number;
}

const USAGE: CodexEndpoint = { kind: "account", path: "/usage" };

/** A request that a Codex client makes to its own provider. */
export interface PassedRequest {
  readonly endpoint: CodexEndpoint;
  readonly method: string;
  /** With its question mark, or "". */
  readonly query: string;
  /** About the conversation; never credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
}

/** What is asked of the backend beside the traffic: its models, and how full the plan is. Throws RelayError. */
export class AccountApi {
  readonly #about: QuestionsOptions;

  constructor(about: QuestionsOptions) {
    this.#about = about;
  }

  /** The reply to the question for models, whatever its status. `version` is that of a Codex CLI. */
  async models(version: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const { options, identity } = this.#about;
    const url = `${options().baseUrl}/models?client_version=${encodeURIComponent(version)}`;
    const { response } = await this.#ask(url, { ...identity, ...headers }, signal);
    return response;
  }

  /** The plan's windows as the backend tells them, and whose they are. */
  async usage(signal: AbortSignal): Promise<{ text: string; accountId: string | undefined }> {
    const { options, now, identity } = this.#about;
    const { "user-agent": userAgent } = identity;
    const { baseUrl, idleTimeoutMs } = options();
    const headers = userAgent === undefined ? {} : { "user-agent": userAgent };
    const { response, credentials } = await this.#ask(codexEndpointUrl(baseUrl, USAGE), headers, signal);
    if (!response.ok) throw await readRefusal(response, Math.min(idleTimeoutMs, ACCOUNT_TIMEOUT_MS), now);
    return { text: await response.text(), accountId: credentials.accountId };
  }

  /** A request of a Codex client's, passed on under the relay's own login; the reply whatever its status. */
  async pass(
    { endpoint, query, method, headers, contentType, body }: PassedRequest,
    signal: AbortSignal,
  ): Promise<Response> {
    const { options, identity } = this.#about;
    const { baseUrl, idleTimeoutMs } = options();
    const about = { ...identity, ...headers, ...(body ? { "content-type": contentType } : {}) };
    const init = { method, ...(body ? { body } : {}) };
    // The headers come with the whole answer: a search is done before.
    const timeoutMs = idleTimeoutMs;
    const { response } = await this.#ask(codexEndpointUrl(baseUrl, endpoint) + query, about, signal, init, timeoutMs);
    return response;
  }

  /** One request of the backend's own, with the two cures that requests have for a 401. */
  async #ask(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    request: { readonly method: string; readonly body?: Uint8Array<ArrayBuffer> } = { method: "GET" },
    timeoutMs = this.#about.options().firstByteTimeoutMs,
  ): Promise<{ response: Response; credentials: Credentials }> {
    const { http, credentials: provider } = this.#about;
    let credentials = await provider.current();
    if (credentials.kind === "api-key") {
      throw new RelayError("not_found", "An OpenAI API key has no plan, and so neither its models nor its windows.");
    }
    const ask = () => {
      const init = { ...request, headers: { ...headers, ...credentialHeaders(credentials), accept: "*/*" } };
      return http.fetch(url, init, new LinkedAbort(signal), timeoutMs);
    };
    let response = await ask();
    for (const attempt of [1, 2] as const) {
      if (response.status !== 401) break;
      const text = await response.text().catch(() => "");
      if (isRegionRefusal(text)) {
        const { status, headers: replyHeaders } = response;
        response = new Response(text, { status, headers: replyHeaders });
        break;
      }
      credentials = await provider.recover(credentials, attempt);
      response = await ask();
    }
    return { response, credentials };
  }
}
