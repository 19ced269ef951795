import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KeyFile, keysPath } from "../../src/keys/key-file.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { keyDigest, newKeyText, type KeyLimits } from "../../src/keys/key.ts";
import { LocalBudgets } from "../../src/keys/local-budgets.ts";
import { UsageFile, usagePath } from "../../src/keys/usage-file.ts";
import { SILENT_LOG, type Log } from "../../src/lib/log.ts";

/** Keys in a folder of their own. */
export class TestKeys {
  readonly folder = mkdtempSync(join(tmpdir(), "plansocket-keys-"));
  readonly file: KeyFile;
  readonly ring: KeyRing;
  readonly budgets: LocalBudgets;

  constructor({ log = SILENT_LOG, now = Date.now }: { log?: Log; now?: () => number } = {}) {
    this.file = new KeyFile(keysPath(this.folder), now);
    this.ring = new KeyRing(this.file, log, now);
    this.budgets = new LocalBudgets({ file: new UsageFile(usagePath(this.folder)), log, now });
  }

  /** What a relay takes. */
  get forRelay() {
    return { keys: this.ring, budgets: this.budgets };
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
