/** An endpoint of the backend that the Codex CLI asks besides its stream of responses. */
export interface CodexEndpoint {
  /** Below the Codex API, or beside it where the account is. */
  readonly kind: "provider" | "account";
  /** Below the root of its kind, as in `/alpha/search` and `/usage`. */
  readonly path: string;
}

/**
 * The address of an endpoint. Accounts lie in `wham` beside the Codex API; a backend of somebody's own, without
 * `/backend-api`, has them in `/api/codex`.
 */
export function codexEndpointUrl(baseUrl: string, { kind, path }: CodexEndpoint): string {
  if (kind === "provider") return baseUrl + path;
  const root = baseUrl.replace(/\/codex$/, "");
  return root.includes("/backend-api") ? `${root}/wham${path}` : `${root}/api/codex${path}`;
}
