import { jwt, refusal } from "../support/token-server.ts";

/**
 * A login service whose refresh tokens are used once. With `isForgiving` a spent token is taken again as long as nobody
 * has used what it was exchanged for: the answer may never have arrived.
 */
export class LoginService {
  readonly #isForgiving: boolean;
  readonly #lifeMs: number;
  readonly #now: () => number;
  /** By token: what it was exchanged for. */
  readonly #heirs = new Map<string, string[]>();
  #issued = 0;
  /** Tokens that somebody tried to use once more, and was refused. */
  refusals = 0;

  /** Access tokens live for `lifeMs` by the service's own clock. */
  constructor(options: { isForgiving?: boolean; lifeMs: number; now: () => number }) {
    this.#isForgiving = options.isForgiving ?? false;
    this.#lifeMs = options.lifeMs;
    this.#now = options.now;
  }

  get issued(): number {
    return this.#issued;
  }

  /** The content of an auth file, as a new login leaves it. */
  login(): string {
    return authFile(this.#accessToken(), this.#next());
  }

  /** A login whose access token has ended. */
  endedLogin(): string {
    return authFile(jwt({ exp: 1 }), this.#next());
  }

  answer(refreshToken: string): Response {
    if (!this.isUsable(refreshToken)) {
      this.refusals += 1;
      return refusal(401, "refresh_token_reused");
    }
    const next = this.#next();
    this.#heirs.get(refreshToken)?.push(next);
    return Response.json({ access_token: this.#accessToken(), refresh_token: next, id_token: jwt({}) });
  }

  /** True when spending this token now would work. */
  isUsable(refreshToken: string): boolean {
    const heirs = this.#heirs.get(refreshToken);
    const isUnused = (token: string) => this.#heirs.get(token)?.length === 0;
    return heirs !== undefined && (this.#isForgiving ? heirs.every(isUnused) : heirs.length === 0);
  }

  #next(): string {
    this.#issued += 1;
    const token = `rt_${this.#issued}`;
    this.#heirs.set(token, []);
    return token;
  }

  #accessToken(): string {
    return jwt({ exp: Math.floor((this.#now() + this.#lifeMs) / 1000), jti: this.#issued });
  }
}

/** Listens for those who are processes of their own. */
export function serveLogins(service: LoginService, before: () => Promise<void> = () => Promise.resolve()) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { refresh_token: token = "" } = (await request.json()) as Record<string, string>;
      await before();
      return service.answer(token);
    },
  });
  return { url: `http://127.0.0.1:${server.port}/oauth/token`, stop: () => server.stop(true) };
}

/** The refresh token in an auth file's text; undefined when it is no such text. */
export function refreshTokenIn(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { tokens?: { refresh_token?: string } }).tokens?.refresh_token;
  } catch {
    return undefined;
  }
}

export function authFile(accessToken: string, refreshToken: string): string {
  const tokens = { id_token: jwt({}), access_token: accessToken, refresh_token: refreshToken, account_id: "acc-1" };
  return JSON.stringify({ auth_mode: "chatgpt", OPENAI_API_KEY: null, tokens }, undefined, 2);
}
