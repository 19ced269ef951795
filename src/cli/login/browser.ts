import { BrowserLogin, CALLBACK_PATH, CALLBACK_PORTS, pastedQuery, type Callback } from "../../auth/browser-login.ts";
import type { IssuedTokens } from "../../auth/code-exchange.ts";
import type { LoginService } from "../../auth/login-service.ts";
import { RelayError, toRelayError } from "../../lib/errors.ts";
import type { Lines } from "../confirm.ts";
import { page } from "./page.ts";
import { errorCode } from "../../lib/thrown.ts";

export interface BrowserSignIn {
  readonly service: LoginService;
  /** Keeps the tokens; returns whose they are, as a sentence. */
  readonly keep: (tokens: IssuedTokens) => Promise<string>;
  /** Shows the owner where to go. `isListening` is false when only a pasted address can end the sign-in. */
  readonly show: (url: string, isListening: boolean) => void;
  readonly say: (line: string) => void;
  /** Addresses pasted by somebody whose browser is on another machine. */
  readonly lines: Lines;
  readonly ports?: readonly number[];
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 15 * 60_000;
const LAST_PAGE_MS = 500;

/** Waits for a browser, or for a pasted address, and keeps what it brings. Returns whose login it is. */
export async function signInWithBrowser(options: BrowserSignIn): Promise<string> {
  const ports = options.ports ?? CALLBACK_PORTS;
  const ending = Promise.withResolvers<string>();
  // The browser gets the end as well, so it may be rejected before anybody waits for it.
  ending.promise.catch(() => {});
  const waiting = new Waiting(options, ending);
  const server = listenOnOneOf(ports, (request) => waiting.answer(request));
  const login = new BrowserLogin(options.service, server?.port ?? ports[0] ?? 0);
  waiting.login = login;
  const minutes = Math.round((options.timeoutMs ?? TIMEOUT_MS) / 60_000);
  const timer = setTimeout(
    () => waiting.giveUp(failure(`Nobody signed in within ${minutes} minutes.`)),
    options.timeoutMs ?? TIMEOUT_MS,
  );
  try {
    options.show(login.url, server !== undefined);
    void waiting.readPasted(server !== undefined);
    return await ending.promise;
  } finally {
    clearTimeout(timer);
    options.lines.close();
    if (server) await close(server);
  }
}

/** One sign-in under way: whichever way the code comes, it is redeemed once. */
class Waiting {
  login: BrowserLogin | undefined;
  readonly #options: BrowserSignIn;
  readonly #ending: PromiseWithResolvers<string>;
  #finishing: Promise<string> | undefined;

  constructor(options: BrowserSignIn, ending: PromiseWithResolvers<string>) {
    this.#options = options;
    this.#ending = ending;
  }

  /** The browser's requests. */
  async answer(request: Request): Promise<Response> {
    const url = new URL(request.url, "http://127.0.0.1");
    if (isForeign(request, url.pathname)) {
      return page(
        "Not allowed",
        "This page only answers the browser that signs in, and programs of this machine.",
        403,
      );
    }
    if (request.method !== "GET") return page("Not here", "This page only takes a browser back to the terminal.", 405);
    // The Codex CLI asks this of whoever holds the port that it needs.
    if (url.pathname === "/cancel") {
      this.giveUp(failure("Another sign-in took over."));
      return new Response("cancelled\n", { headers: { "x-content-type-options": "nosniff" } });
    }
    if (url.pathname !== CALLBACK_PATH) return page("Nothing here", "This page is not part of the sign-in.", 404);
    const callback = this.#read(url.searchParams);
    if (callback.kind === "foreign") {
      return page("State mismatch", "This page belongs to another sign-in. Use the newest link in your terminal.", 400);
    }
    if (callback.kind === "empty") return page("No code", "The login service sent no code. Try the link again.", 400);
    try {
      const who = await this.#finish(callback);
      return page("Signed in", `${who} You can close this page and go back to the terminal.`, 200);
    } catch (thrown) {
      const { message, hint } = toRelayError(thrown);
      return page("Not signed in", [message, hint].filter(Boolean).join(" "), 400);
    }
  }

  async readPasted(isListening: boolean): Promise<void> {
    for await (const line of this.#options.lines) {
      if (line.trim() === "") continue;
      const query = pastedQuery(line);
      const callback = query === undefined ? undefined : this.#read(query);
      if (callback === undefined || callback.kind === "empty") {
        this.#options.say("That is not the address that the browser ends on; it contains /auth/callback?code=");
      } else if (callback.kind === "foreign") {
        this.#options.say("That address belongs to another sign-in; use the link above.");
      } else {
        await this.#finish(callback).catch(() => {});
        return;
      }
    }
    if (!isListening) this.giveUp(failure("No port was free for the browser, and no address was pasted."));
  }

  /** A code that is being redeemed may be a login already: its end is the only one. */
  giveUp(error: RelayError): void {
    if (!this.#finishing) this.#ending.reject(error);
  }

  #read(query: URLSearchParams): Callback {
    return this.login?.read(query) ?? { kind: "foreign" };
  }

  /** A reloaded page gets the same end as the first one. */
  #finish(callback: Extract<Callback, { kind: "code" | "refused" }>): Promise<string> {
    this.#finishing ??= this.#redeem(callback);
    this.#finishing.then(this.#ending.resolve, this.#ending.reject);
    return this.#finishing;
  }

  async #redeem(callback: Extract<Callback, { kind: "code" | "refused" }>): Promise<string> {
    if (callback.kind === "refused") throw callback.error;
    if (!this.login) throw failure("The sign-in had not begun.");
    return this.#options.keep(await this.login.redeem(callback.code));
  }
}

/**
 * True for requests that another web site makes. A name that was rebound to this machine shows in Host. Of the requests
 * that other sites cause, only the login service's redirect is let in, which is a navigation and carries a state.
 */
function isForeign({ headers }: Request, path: string): boolean {
  const host = headers.get("host") ?? "";
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/i.test(host)) return true;
  const origin = headers.get("origin");
  if (origin !== null && origin !== `http://${host}`) return true;
  const site = headers.get("sec-fetch-site") ?? "none";
  if (site === "none" || site === "same-origin") return false;
  return path !== CALLBACK_PATH || headers.get("sec-fetch-mode") !== "navigate";
}

/** The first port that is free; undefined when all are taken. */
function listenOnOneOf(ports: readonly number[], answer: (request: Request) => Promise<Response>) {
  for (const port of ports) {
    try {
      return Bun.serve({
        hostname: "127.0.0.1",
        port,
        fetch: answer,
        error: () => page("Not signed in", "Something went wrong; look at the terminal.", 500),
      });
    } catch (error) {
      if (errorCode(error) !== "EADDRINUSE") throw error;
    }
  }
  return undefined;
}

/** Lets the browser get its last page first; the idle connections that browsers open ahead are cut after that. */
async function close(server: Bun.Server<undefined>): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, LAST_PAGE_MS);
  await Promise.race([server.stop(), limit.promise]);
  clearTimeout(timer);
  await server.stop(true);
}

function failure(message: string): RelayError {
  return new RelayError("login_failed", message, { hint: "Run `plansocket login` again." });
}
