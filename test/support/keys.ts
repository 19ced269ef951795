import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyFile, keysPath } from "../../src/keys/key-file.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { keyDigest, newKeyText, type KeyLimits } from "../../src/keys/key.ts";
import { SILENT_LOG, type Log } from "../../src/lib/log.ts";

/** Keys in a folder of their own. */
export class TestKeys {
  readonly folder = mkdtempSync(join(tmpdir(), "plansocket-keys-"));
  readonly file: KeyFile;
  readonly ring: KeyRing;

  constructor({ log = SILENT_LOG, now = Date.now }: { log?: Log; now?: () => number } = {}) {
    this.file = new KeyFile(keysPath(this.folder), now);
    this.ring = new KeyRing(this.file, log, now);
  }

  /** A new key's text. */
  async add(name: string, limits: KeyLimits = {}, expiresAtMs?: number): Promise<string> {
    const text = newKeyText();
    await this.file.add({ name, digest: keyDigest(text), limits, expiresAtMs, madeFor: undefined });
    return text;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** As a client sends it. */
export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
