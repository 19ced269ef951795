import { RelayError } from "./errors.ts";

/** A connection that was never made, or died before any reply, in words that name the proxy and the likely cure. */
export function unreachable(error: unknown, host: string, proxy: string | undefined): RelayError {
  const code = (error as { code?: unknown }).code;
  const reason = typeof code === "string" ? code : "connection failed";
  const via = proxy === undefined ? "" : ` through the proxy ${proxy}`;
  const isTls = /CERT|SSL|TLS|SELF_SIGNED|ISSUER/i.test(reason);
  const hint = isTls
    ? "If your network inspects TLS, set NODE_EXTRA_CA_CERTS to its certificate."
    : proxy === undefined
      ? "Check your network; behind a corporate proxy set --proxy."
      : "Check the proxy setting (--proxy) and its credentials.";
  return new RelayError("upstream_unreachable", `${host} could not be reached${via} (${reason}).`, {
    cause: error,
    hint,
  });
}
