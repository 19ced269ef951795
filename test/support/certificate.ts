import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** For a TLS server of a test. */
export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  /** File with the authority that signed it, to be trusted. */
  readonly authority: string;
}

/** A certificate and its own authority: rustls takes no certificate that signed itself. Needs openssl. */
export function certificate(folder: string, names: readonly string[], addresses: readonly string[] = []): Certificate {
  const at = (name: string) => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const alternatives = [...names.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)];
  writeFileSync(at("extensions"), `subjectAltName=${alternatives.join(",")}\nextendedKeyUsage=serverAuth\n`);
  openssl(["req", "-x509", ...key, "-days", "2", "-subj", "/CN=authority"], at("authority.key"), at("authority.pem"));
  openssl(["req", ...key, "-subj", "/CN=stand-in"], at("server.key"), at("server.csr"));
  const [from, by] = [at("server.csr"), ["-CA", at("authority.pem"), "-CAkey", at("authority.key"), "-CAcreateserial"]];
  run(["x509", "-req", "-in", from, ...by, "-days", "2", "-extfile", at("extensions"), "-out", at("server.pem")]);
  return {
    cert: readFileSync(at("server.pem"), "utf8"),
    key: readFileSync(at("server.key"), "utf8"),
    authority: at("authority.pem"),
  };
}

function openssl(words: readonly string[], keyPath: string, path: string): void {
  run([...words, "-keyout", keyPath, "-out", path]);
}

function run(words: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...words]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}
