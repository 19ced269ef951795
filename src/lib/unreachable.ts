import { RelayError } from "./errors.ts";
import { errorField } from "./thrown.ts";

/**
 * A connection that was never made, or died before any reply, as `upstream_unreachable`: in words that name the proxy
 * (given without its credentials) and the likely cure.
 */
export function unreachable(error: unknown, host: string, proxy: string | undefined): RelayError {
  const [name, code, status, authorityFault] = ["name", "code", "status", "authorityFault"].map((field) =>
    errorField(error, field),
  );
  const word = typeof code === "string" ? code : name === "TimeoutError" ? "no answer in time" : "connection failed";
  // Bun says with what status a proxy refused the tunnel.
  const reason = word === "ERR_PROXY_TUNNEL" && typeof status === "number" ? `${word} ${status}` : word;
  const via = proxy === undefined ? "" : ` through the proxy ${proxy}`;
  const cure = cureFor(word, status, proxy);
  return new RelayError("upstream_unreachable", `${host} could not be reached${via} (${reason}).`, {
    cause: error,
    hint: typeof authorityFault === "string" ? `${authorityFault} ${cure}` : cure,
  });
}

/** Words of fetch for what is not the network's fault, and what then is to be looked at. */
const CURES: readonly (readonly [RegExp, string])[] = [
  [
    /ALTNAME/,
    "The certificate is for another name: check the address, and whether the network sends you to a page of its own.",
  ],
  [
    /CERT_(HAS_EXPIRED|NOT_YET_VALID)/,
    "The certificate is not valid today: check this machine's clock, then ask whoever runs that server.",
  ],
  [
    /CERT|SSL|TLS|SELF_SIGNED|ISSUER|VERIFY/,
    "If your network inspects TLS, save its authority's certificate as a PEM file and start with NODE_EXTRA_CA_CERTS=FILE.pem.",
  ],
  [/EPROTO/, "No TLS is spoken there: check the address, its https:// and its port."],
  [/Malformed/, "Something other than HTTP answers there: check the address and its port."],
];

function cureFor(code: string, status: unknown, proxy: string | undefined): string {
  if (code === "ERR_PROXY_TUNNEL" && (status === 407 || status === 401)) {
    return "The proxy asks for credentials; write them into its URL: http://USER:PASSWORD@HOST:PORT.";
  }
  if (code === "ERR_SOCKS_AUTH") {
    return "The proxy asks for credentials; write them into its URL: socks5h://USER:PASSWORD@HOST:PORT.";
  }
  if (code === "ERR_SOCKS") return "The proxy answers but does not lead there; ask whoever runs it, or use another.";
  if (code === "ERR_PROXY_TUNNEL")
    return "The proxy answers but does not lead there; ask whoever runs it, or use another.";
  const known = CURES.find(([pattern]) => pattern.test(code));
  if (known) return known[1];
  if (proxy !== undefined) return "Check the address of the proxy (--proxy), and that it runs.";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return "Its name could not be looked up: check your network and DNS; behind a corporate proxy set --proxy.";
  }
  return "Check your network; behind a corporate proxy set --proxy.";
}
