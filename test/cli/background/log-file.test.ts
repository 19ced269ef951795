import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { followLog, lastLines, rotateIfLarge } from "../../../src/cli/background/log-file.ts";
import { eventually } from "../../support/relay.ts";

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plansocket-log-"));
  log = join(folder, "relay.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}\n`).join("");
const last = async (count: number) => (await lastLines(log, count)).text;

describe("a log", () => {
  test("stays as it is below the limit, and when there is none", () => {
    expect(rotateIfLarge(log, 10)).toBe(false);
    writeFileSync(log, "short\n");
    expect([rotateIfLarge(log, 10), existsSync(`${log}.1`)]).toEqual([false, false]);
  });

  test("is put aside at the limit: three older ones stay, and the file itself goes on", () => {
    for (const text of ["first", "second", "third", "fourth", "fifth"]) {
      appendFileSync(log, text);
      const { ino } = statSync(log);
      expect(rotateIfLarge(log, 1)).toBe(true);
      expect([statSync(log).ino, statSync(log).size]).toEqual([ino, 0]);
    }
    expect([1, 2, 3].map((number) => readFileSync(`${log}.${number}`, "utf8"))).toEqual(["fifth", "fourth", "third"]);
    expect(existsSync(`${log}.4`)).toBe(false);
  });

  test("shows its last lines, reaching back into older ones", async () => {
    expect(await last(5)).toBe("");
    writeFileSync(log, lines(1, 5));
    expect(await last(2)).toBe(lines(4, 5));
    rotateIfLarge(log, 1);
    expect(await last(3)).toBe(lines(3, 5));
    appendFileSync(log, lines(6, 7));
    expect(await last(3)).toBe(lines(5, 7));
    expect(await last(100)).toBe(lines(1, 7));
    expect(await last(0)).toBe("");
    appendFileSync(log, "no end yet");
    expect(await last(2)).toBe("line 7\nno end yet");
  });
});

describe("following", () => {
  async function following(work: (seen: () => string) => Promise<void>) {
    let seen = "";
    const over = new AbortController();
    const { cursor } = await lastLines(log, 0);
    const decoder = new TextDecoder();
    const done = followLog(log, cursor, (bytes) => (seen += decoder.decode(bytes, { stream: true })), over.signal, 5);
    try {
      await work(() => seen);
    } finally {
      over.abort();
      await done;
    }
  }

  test("shows what is added, once and in order, over many rotations", async () => {
    writeFileSync(log, lines(1, 3));
    await following(async (seen) => {
      let expected = "";
      for (let round = 0; round < 8; round += 1) {
        const before = lines(round * 10, round * 10 + 4);
        appendFileSync(log, before);
        // Some lines are still unread when the log is put aside.
        if (round % 2 === 0) await eventually(() => seen() === expected + before);
        rotateIfLarge(log, 1);
        const after = lines(round * 10 + 5, round * 10 + 9);
        appendFileSync(log, after);
        expected += before + after;
        await eventually(() => seen() === expected);
      }
      expect(seen()).toBe(expected);
    });
  });

  test("goes on after the file was emptied by hand or did not exist yet", async () => {
    await following(async (seen) => {
      writeFileSync(log, lines(1, 2));
      await eventually(() => seen() === lines(1, 2));
      truncateSync(log, 0);
      await Bun.sleep(20);
      appendFileSync(log, "new\n");
      await eventually(() => seen() === `${lines(1, 2)}new\n`);
    });
  });
});
