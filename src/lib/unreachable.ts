import { RelayError } from "./errors.ts";

/**
 * A connection that was never made, or died before any reply, as `upstream_unreachable`: in words that name the proxy
 * (given without its credentials) and the likely cure.
 */
export function unreachable(error: unknown, host: string, proxy: string | undefined): RelayError {
  const { code, status } = error as { code?: unknown; status?: unknown };
  const word = typeof code === "string" ? code : "connection failed";
  // Bun says with what status a proxy refused the tunnel.
  const reason = word === "ERR_PROXY_TUNNEL" && typeof status === "number" ? `${word} ${status}` : word;
  const via = proxy === undefined ? "" : ` through the proxy ${proxy}`;
  return new RelayError("upstream_unreachable", `${host} could not be reached${via} (${reason}).`, {
    cause: error,
    hint: cureFor(word, status, proxy),
  });
}

function cureFor(code: string, status: unknown, proxy: string | undefined): string {
  if (/CERT|SSL|TLS|SELF_SIGNED|ISSUER|VERIFY/i.test(code)) {
    return "If your network inspects TLS, set NODE_EXTRA_CA_CERTS to its certificate.";
  }
  if (code === "ERR_PROXY_TUNNEL" && (status === 407 || status === 401)) {
    return "The proxy asks for credentials; write them into its URL: http://USER:PASSWORD@HOST:PORT.";
  }
  if (code === "ERR_PROXY_TUNNEL")
    return "The proxy answers but does not lead there; ask whoever runs it, or use another.";
  if (proxy !== undefined) return "Check the address of the proxy (--proxy), and that it runs.";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return "Its name could not be looked up: check your network and DNS; behind a corporate proxy set --proxy.";
  }
  return "Check your network; behind a corporate proxy set --proxy.";
}
