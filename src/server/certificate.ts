import { readFileSync, statSync } from "node:fs";
import { RelayError } from "../lib/errors.ts";
import { errorCode } from "../lib/thrown.ts";

/** Where a certificate (with its chain) and its key are, in PEM. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** What a listener speaks TLS with. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** What its owner should know of it although it works; undefined when there is nothing. */
  readonly remark: string | undefined;
}

const DAY_MS = 86_400_000;
const SOON_MS = 14 * DAY_MS;

/** Reads both files and holds them against each other. Throws `start_failed` naming the file, its fault and the fix. */
export function readCertificate(files: CertificateFiles, nowMs: number): Certificate {
  const cert = textOf(files.cert, "--tls-cert");
  const key = textOf(files.key, "--tls-key");
  // Loaded by relays that speak TLS alone.
  const { X509Certificate, createPrivateKey } = process.getBuiltinModule("node:crypto");
  const parsed = attempt(() => new X509Certificate(cert), files.cert, "holds no certificate in PEM form");
  const privateKey = attempt(
    () => createPrivateKey(key),
    files.key,
    "holds no private key in PEM form, or one with a passphrase",
  );
  if (!parsed.checkPrivateKey(privateKey)) {
    throw new RelayError("start_failed", `The key in ${files.key} is not that of the certificate in ${files.cert}.`, {
      hint: "Name the two files that were made together. In a file with a chain the relay's own certificate comes first.",
    });
  }
  return { cert, key, remark: remarkOf(files, Date.parse(parsed.validTo), nowMs) };
}

function textOf(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new RelayError("start_failed", `${path} could not be read (${errorCode(error) ?? "unknown"}).`, {
      hint: `Check ${flag}, and that this user may read the file.`,
      cause: error,
    });
  }
}

function attempt<Value>(make: () => Value, path: string, fault: string): Value {
  try {
    return make();
  } catch (cause) {
    throw new RelayError("start_failed", `${path} ${fault}.`, {
      hint: "It begins with a line like -----BEGIN …-----; convert it with openssl.",
      cause,
    });
  }
}

function remarkOf({ cert, key }: CertificateFiles, endMs: number, nowMs: number): string | undefined {
  const isOpen = process.platform !== "win32" && (statSync(key).mode & 0o077) !== 0;
  if (endMs <= nowMs) return `The certificate in ${cert} has expired; clients refuse it.`;
  if (isOpen) return `Other users can read the key in ${key}; chmod 600 takes that from them.`;
  if (endMs - nowMs < SOON_MS)
    return `The certificate in ${cert} expires in ${Math.ceil((endMs - nowMs) / DAY_MS)} days.`;
  return undefined;
}
