/**
 * True for hosts that NO_PROXY exempts. Entries are separated by commas or blanks: `*`, names (which cover their
 * subdomains, with or without a leading `.` or `*.`), addresses and blocks of them (`10.0.0.0/8`, `fd00::/8`), each but
 * blocks with a `:port` that narrows it. The same reading as curl's and Go's.
 */
export function noProxyMatcher(list: string): (hostname: string, port: string) => boolean {
  const entries = list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .map(matcherOf);
  return (hostname, port) => {
    const host = hostname
      .toLowerCase()
      .replace(/^\[|\]$/g, "")
      .replace(/\.$/, "");
    return entries.some((matches) => matches(host, port));
  };
}

type Matcher = (host: string, port: string) => boolean;

/** Not imported: only owners of proxies need it, and an idle relay is a megabyte smaller without it and `node:tls`. */
const net = () => process.getBuiltinModule("node:net");

function matcherOf(entry: string): Matcher {
  if (entry === "*") return () => true;
  const block = /^\[?([^[\]/]+)\]?\/(\d{1,3})$/.exec(entry);
  if (block?.[1] !== undefined) return blockMatcher(block[1], Number(block[2]));
  const { name, port } = splitPort(entry);
  const isPort = (of: string) => port === undefined || port === of;
  const version = net().isIP(name);
  if (version !== 0) {
    const isAddress = blockMatcher(name, version === 4 ? 32 : 128);
    return (host, of) => isPort(of) && isAddress(host, of);
  }
  const suffix = name.replace(/^\*?\./, "").replace(/\.$/, "");
  return (host, of) => isPort(of) && suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`));
}

/** An IPv6 address has a port only behind brackets. */
function splitPort(entry: string): { readonly name: string; readonly port: string | undefined } {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(entry);
  if (bracketed) return { name: bracketed[1] ?? "", port: bracketed[2] };
  if (net().isIP(entry) === 6) return { name: entry, port: undefined };
  const [, name = entry, port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  return { name, port };
}

function blockMatcher(address: string, bits: number): Matcher {
  const { BlockList, isIP } = net();
  const version = isIP(address);
  if (version === 0 || bits > (version === 4 ? 32 : 128)) return () => false;
  const addresses = new BlockList();
  addresses.addSubnet(address, bits, version === 4 ? "ipv4" : "ipv6");
  return (host) => {
    const of = isIP(host);
    return of !== 0 && addresses.check(host, of === 4 ? "ipv4" : "ipv6");
  };
}
