/** A login service with single-use refresh tokens and nothing else. */
export interface TokenServer {
  readonly url: string;
  /** Refresh tokens asked for, in order. */
  readonly asked: string[];
  /** Answers the next calls instead of the service. */
  readonly script: ((refreshToken: string) => Response | Promise<Response>)[];
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function startTokenServer(first: string): TokenServer {
  const asked: string[] = [];
  const script: TokenServer["script"] = [];
  let valid = first;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = (await request.json()) as Record<string, string>;
      const token = body["refresh_token"] ?? "";
      asked.push(token);
      const scripted = script.shift();
      if (scripted) return scripted(token);
      if (token !== valid) return refusal(401, "refresh_token_reused");
      valid = `rt_${asked.length}`;
      return Response.json({
        access_token: jwt({ exp: 4_000_000_000 + asked.length }),
        refresh_token: valid,
        id_token: jwt({}),
      });
    },
  });
  const stop = () => server.stop(true);
  return { url: `http://127.0.0.1:${server.port}/oauth/token`, asked, script, stop, [Symbol.asyncDispose]: stop };
}

export function refusal(status: number, code: string): Response {
  return Response.json({ error: { message: "no", type: "invalid_request_error", param: null, code } }, { status });
}

/** An unsigned token; nobody but the backend verifies them. */
export function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part(claims)}.sig`;
}
