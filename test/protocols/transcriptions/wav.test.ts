import { expect, test } from "bun:test";
import { wavSeconds } from "../../../src/protocols/transcriptions/wav.ts";

/** A header with `before` between the format and `size` bytes of sound at 32,000 bytes a second. */
function wav(size: number, before = "", told = size): Uint8Array {
  const sound = Buffer.alloc(size);
  const format = Buffer.alloc(24);
  format.write("fmt ");
  format.writeUInt32LE(16, 4);
  format.writeUInt32LE(32_000, 16);
  const head = Buffer.alloc(8);
  head.write("data");
  head.writeUInt32LE(told, 4);
  return Buffer.concat([Buffer.from("RIFF....WAVE"), format, Buffer.from(before, "latin1"), head, sound]);
}

test("the length of a recording is its sound by its rate", () => {
  expect(wavSeconds(wav(16_000))).toBe(0.5);
  expect(wavSeconds(wav(16_000, "LIST\u0003\u0000\u0000\u0000abc\u0000"))).toBe(0.5);
});

test("a recorder that left the size open, or told too much, is measured by what is there", () => {
  expect(wavSeconds(wav(32_000, "", 0))).toBe(1);
  expect(wavSeconds(wav(32_000, "", 0xffff_ffff))).toBe(1);
});

test("other recordings, and broken ones, have no known length", () => {
  expect(wavSeconds(Buffer.from("ID3 and then an MP3"))).toBeUndefined();
  expect(wavSeconds(new Uint8Array())).toBeUndefined();
  const whole = wav(16);
  for (let length = 0; length < whole.length - 24; length += 1) {
    expect(wavSeconds(whole.subarray(0, length))).toBeUndefined();
  }
});
