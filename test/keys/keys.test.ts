import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { chmodSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { KeyFile } from "../../src/keys/key-file.ts";
import { KeyRing } from "../../src/keys/key-ring.ts";
import { KEY_TEXT, keyDigest, newKeyText } from "../../src/keys/key.ts";
import type { RelayError } from "../../src/lib/errors.ts";
import { SILENT_LOG } from "../../src/lib/log.ts";
import { TestKeys } from "../support/keys.ts";

let keys: TestKeys;
let nowMs: number;
beforeEach(() => {
  nowMs = 1_800_000_000_000;
  keys = new TestKeys({ now: () => nowMs });
});
afterEach(() => keys.remove());

const failure = (act: () => unknown): RelayError => {
  try {
    act();
  } catch (error) {
    return error as RelayError;
  }
  throw new Error("it did not fail");
};

test("a key is recognizable, random, and found again in a text", () => {
  const texts = Array.from({ length: 100 }, () => newKeyText());
  expect(new Set(texts).size).toBe(100);
  for (const text of texts) expect(text).toMatch(/^plsk_[\w-]{43}$/);
  const found = `{"key": "${texts[0]}"}\nKEY=${texts[1]}`.match(KEY_TEXT);
  expect([...(found ?? [])]).toEqual(texts.slice(0, 2));
});

describe("the file", () => {
  test("keeps all of a key but the key, for its owner's eyes", async () => {
    const text = await keys.add(
      "laptop",
      { models: ["gpt-5.5"], tokensPerDay: 5, shareOfWindowPercent: 2.5 },
      nowMs + 1,
    );
    const written = readFileSync(keys.file.path, "utf8");
    expect(written).not.toContain(text);
    expect(JSON.parse(written)).toEqual({
      version: 1,
      keys: [
        {
          name: "laptop",
          sha256: keyDigest(text).toString("hex"),
          created_at: "2027-01-15T08:00:00.000Z",
          expires_at: "2027-01-15T08:00:00.001Z",
          limits: { tokens_per_day: 5, share_of_window_percent: 2.5, models: ["gpt-5.5"] },
        },
      ],
    });
    expect(statSync(keys.file.path).mode & 0o777).toBe(0o600);
    const [key] = keys.file.read()?.keys ?? [];
    expect(key).toMatchObject({
      name: "laptop",
      limits: { tokensPerDay: 5, models: ["gpt-5.5"] },
      revokedAtMs: undefined,
    });
  });

  test("takes many writers at once", async () => {
    const names = Array.from({ length: 12 }, (_, index) => `client-${index}`);
    await Promise.all(names.map((name) => keys.add(name)));
    expect(
      keys.file
        .read()
        ?.keys.map(({ name }) => name)
        .toSorted(),
    ).toEqual(names.toSorted());
  });

  test("has one usable key of a name; one that has ended makes room", async () => {
    await keys.add("a");
    await keys.add("b", {}, nowMs + 10);
    await expect(keys.add("a")).rejects.toThrow("already");
    await keys.file.revoke("a");
    await expect(keys.file.revoke("a")).rejects.toThrow("revoked already");
    await expect(keys.file.revoke("c")).rejects.toMatchObject({ code: "nothing_there", hint: "Keys: a, b." });
    await keys.add("a");
    await expect(keys.add("b")).rejects.toThrow("already");
    nowMs += 11;
    await keys.add("b");
    expect(keys.file.read()?.keys).toHaveLength(2);
  });

  test.each(["", "-x", "a b", "a\nb", "owner", "Owner", "x".repeat(65), "ä"])("refuses the name %j", async (name) => {
    await expect(keys.add(name)).rejects.toMatchObject({ code: "usage" });
  });

  test.each([
    ['{"version": 1, "keys": [}', "line 1, column 25"],
    ["", "line 1, column 1"],
    ['{"version": 2, "keys": []}', "'version'"],
    ['{"version": 1, "keys": [{"name": "a"}]}', "'keys[0].sha256'"],
    [JSON.stringify({ version: 1, keys: [entry({ limits: { token_per_day: 5 } })] }), "'keys[0].limits'"],
    [
      JSON.stringify({ version: 1, keys: [entry({ limits: { tokens_per_day: 0 } })] }),
      "'keys[0].limits.tokens_per_day'",
    ],
  ])("%s says where it is wrong", (text, place) => {
    writeFileSync(keys.file.path, text);
    const error = failure(() => keys.file.read());
    expect(error.code).toBe("keys_unreadable");
    expect(error.message).toContain(place);
    expect(error.hint).toContain("Correct it");
  });

  test("is no link, neither to read nor to write", async () => {
    await keys.add("a");
    renameSync(keys.file.path, `${keys.file.path}.other`);
    symlinkSync(`${keys.file.path}.other`, keys.file.path);
    expect(failure(() => keys.file.read()).message).toContain("symbolic link");
    await expect(keys.add("b")).rejects.toThrow("symbolic link");
    unlinkSync(keys.file.path);
    symlinkSync(`${keys.folder}/nowhere`, keys.file.path);
    await expect(keys.add("b")).rejects.toThrow("symbolic link");
  });

  test("that may not be read is told as that", async () => {
    await keys.add("a");
    chmodSync(keys.file.path, 0);
    // Root reads everything.
    if (process.getuid?.() === 0) return expect(keys.file.read()?.mode).toBe(0);
    expect(failure(() => keys.file.read())).toMatchObject({ code: "keys_unreadable" });
  });
});

function entry(over: object) {
  return { name: "a", sha256: "0".repeat(64), created_at: "2027-01-15T08:00:00.000Z", ...over };
}

describe("a running relay's ring", () => {
  test("follows the file at once", async () => {
    expect(keys.ring.isInUse).toBe(false);
    const digest = keyDigest(await keys.add("a"));
    expect(keys.ring.isInUse).toBe(true);
    const id = keys.ring.find(digest)?.id ?? "";
    expect(keys.ring.stateOf(id)).toBe("usable");
    await keys.file.revoke("a");
    expect([keys.ring.stateOf(id), keys.ring.hasUsable, keys.ring.isInUse]).toEqual(["revoked", false, true]);
    expect(keys.ring.find(keyDigest("plsk_other"))).toBeUndefined();
  });

  test("knows a key that has expired", async () => {
    const digest = keyDigest(await keys.add("a", {}, nowMs + 5));
    const id = keys.ring.find(digest)?.id ?? "";
    nowMs += 5;
    expect(keys.ring.stateOf(id)).toBe("expired");
  });

  test("keeps what it had when the file breaks or goes away", async () => {
    const digest = keyDigest(await keys.add("a"));
    expect(keys.ring.find(digest)?.name).toBe("a");
    writeFileSync(keys.file.path, "{");
    expect(keys.ring.find(digest)?.name).toBe("a");
    unlinkSync(keys.file.path);
    expect(keys.ring.find(digest)?.name).toBe("a");
    expect(keys.ring.isInUse).toBe(true);
  });

  test("one look serves those who ask within its time, and nobody after it", async () => {
    const patient = new KeyRing(keys.file, SILENT_LOG, Date.now, 60_000);
    expect(patient.isInUse).toBe(false);
    const digest = keyDigest(await keys.add("a"));
    expect(patient.find(digest)).toBeUndefined();
    const hasty = new KeyRing(keys.file, SILENT_LOG, Date.now, Number.MIN_VALUE);
    expect(hasty.find(digest)?.name).toBe("a");
    await keys.file.revoke("a");
    expect(hasty.find(digest)?.revokedAtMs).toBeDefined();
  });

  test("of a file that is broken from the beginning lets nobody in", () => {
    writeFileSync(keys.file.path, "{");
    const told: string[] = [];
    const ring = new KeyRing(new KeyFile(keys.file.path), { ...SILENT_LOG, error: (text) => told.push(text) });
    expect(ring.isInUse).toBe(true);
    expect(failure(() => ring.find(keyDigest("x")))).toMatchObject({ code: "keys_unreadable", status: 503 });
    expect(told.join()).toContain("line 1, column 2");
  });

  test("compares every text with every key, whatever it is", async () => {
    const texts = [await keys.add("a"), await keys.add("b"), await keys.add("c", {}, nowMs + 1), await keys.add("d")];
    await keys.file.revoke("b");
    nowMs += 2;
    const digests = ["nothing", ...texts].map(keyDigest);
    keys.ring.find(keyDigest("first look"));
    const compare = spyOn(crypto, "timingSafeEqual");
    try {
      const counts = digests.map((digest) => {
        compare.mockClear();
        keys.ring.find(digest);
        return compare.mock.calls.map(([one, other]) => [one.byteLength, other.byteLength]);
      });
      for (const count of counts) expect(count).toEqual(Array.from({ length: 4 }, () => [32, 32]));
    } finally {
      compare.mockRestore();
    }
  });
});
