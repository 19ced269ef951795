import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { RelayError } from "../lib/errors.ts";
import { errorCode } from "../lib/thrown.ts";

/** Variables that name a PEM file of authorities to trust besides the usual ones; the Codex CLI's own comes first. */
const AUTHORITY_FILES = ["CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] as const;
const AUTHORITY_FOLDER = "SSL_CERT_DIR";

/** Not imported: few connections need it, and an idle relay is a megabyte smaller without it and `node:net`. */
const tls = () => process.getBuiltinModule("node:tls");

type Environment = Readonly<Record<string, string | undefined>>;

/** One place that a variable names, and what is in it. */
export interface AuthorityPlace {
  readonly variable: string;
  readonly path: string;
  readonly certificates: readonly string[];
  /** Why there is nothing in it, as the end of a sentence that begins with the path. */
  readonly fault?: string;
}

/** What the environment says about authorities, read now. */
export function authorityPlaces(env: Environment): AuthorityPlace[] {
  const places: AuthorityPlace[] = [];
  for (const variable of AUTHORITY_FILES) {
    const path = env[variable];
    if (path) places.push({ variable, path, ...readFile(path) });
  }
  for (const path of (env[AUTHORITY_FOLDER] ?? "").split(process.platform === "win32" ? ";" : ":")) {
    if (path !== "") places.push({ variable: AUTHORITY_FOLDER, path, ...readFolder(path) });
  }
  return places;
}

/** Authorities of TLS connections: the usual ones, and once they are needed those of the environment and the system. */
export class Authorities {
  readonly #env: Environment;
  #places: readonly AuthorityPlace[] = [];
  #trusted: string[] | undefined;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** For `tls.ca`; undefined while the runtime's own reading is enough. */
  get trusted(): string[] | undefined {
    return this.#trusted;
  }

  /**
   * After a certificate that nobody knows: adds those that the environment names and the system's store, where
   * administrators put a company's authority. False when that was done before. Only then: reading them takes tens of
   * milliseconds, and a list costs every request 0.1 ms and more of CPU in Bun's fetch.
   */
  widen(): boolean {
    if (this.#trusted) return false;
    this.#places = authorityPlaces(this.#env);
    const named = this.#places.flatMap(({ certificates }) => certificates);
    this.#trusted = [...tls().rootCertificates, ...systemCertificates(), ...named];
    return true;
  }

  /** Variables that were found to name nothing useful, for the error of a connection. */
  get fault(): string | undefined {
    const faults = this.#places.filter(({ fault }) => fault !== undefined);
    if (faults.length === 0) return undefined;
    return faults.map(({ variable, path, fault }) => `${variable}: ${path} ${fault}.`).join(" ");
  }
}

/** True for errors of certificates whose authority is not known, also as the cause of a RelayError. */
export function isUnknownAuthority(error: unknown): boolean {
  const code = errorCode(error instanceof RelayError ? error.cause : error);
  return code !== undefined && /UNABLE_TO_(GET_ISSUER|VERIFY)|SELF_SIGNED|UNKNOWN_CA|CERT_UNTRUSTED/.test(code);
}

/** Where Linux distributions keep the whole store in one file; the same places as Go's crypto/x509 reads. */
const SYSTEM_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
] as const;

/** The runtime's own reading knows the stores of macOS and Windows, and on Linux only folders with hashed names. */
function systemCertificates(): readonly string[] {
  const files = process.platform === "linux" ? SYSTEM_FILES : [];
  const found = files.flatMap((path) => readFile(path).certificates);
  return [...new Set([...runtimeCertificates(), ...found])];
}

function runtimeCertificates(): readonly string[] {
  try {
    return tls().getCACertificates("system");
  } catch {
    return [];
  }
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

function readFile(path: string): Pick<AuthorityPlace, "certificates" | "fault"> {
  try {
    const certificates = readFileSync(path, "latin1").match(PEM) ?? [];
    return certificates.length > 0 ? { certificates } : { certificates: [], fault: "is no PEM file with certificates" };
  } catch (error) {
    return { certificates: [], fault: wordsOf(error) };
  }
}

function readFolder(path: string): Pick<AuthorityPlace, "certificates" | "fault"> {
  try {
    // Links by hash point at the same files.
    const all = readdirSync(path).flatMap((name) => readFile(join(path, name)).certificates);
    const certificates = [...new Set(all)];
    return certificates.length > 0 ? { certificates } : { certificates, fault: "holds no PEM file with certificates" };
  } catch (error) {
    return { certificates: [], fault: wordsOf(error) };
  }
}

function wordsOf(error: unknown): string {
  const code = errorCode(error);
  return code === "ENOENT" ? "is not there" : `cannot be read (${code ?? "unknown"})`;
}
