import { describe, expect, test } from "bun:test";
import { check, closing, lines, ok } from "../../../src/cli/doctor/finding.ts";
import { RelayError } from "../../../src/lib/errors.ts";

const never = () => Promise.withResolvers<never>().promise;

/** Fails when its signal does, like fetch. */
const untilAborted = (signal: AbortSignal) => {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
  return promise;
};

describe("a check that takes too long", () => {
  test("is ended through its signal, and told in seconds", async () => {
    expect(await check("x", untilAborted, { limitMs: 10 })).toEqual({
      id: "x",
      status: "fail",
      summary: "There was no answer within 0 seconds.",
      fix: "Check your network; behind a corporate proxy set --proxy.",
    });
  });

  test("is left behind when it does not listen", async () => {
    const late = { status: "fail", summary: "silent", fix: "wait" } as const;
    expect(await check("x", never, { limitMs: 5, leewayMs: 5, late })).toEqual({ id: "x", ...late });
  });

  test("may finish what must not be cut short, as the saving of a renewed login", async () => {
    const saved: string[] = [];
    const renewing = async (signal: AbortSignal) => {
      await untilAborted(signal).catch(() => {});
      // As long as a slow login service: many turns after the limit.
      for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
      saved.push("token");
      return ok("renewed");
    };
    expect(await check("x", renewing, { limitMs: 5, leewayMs: 5000 })).toEqual({
      id: "x",
      status: "ok",
      summary: "renewed",
    });
    expect(saved).toEqual(["token"]);
  });

  test("still says that the login is dead", async () => {
    const dying = async (signal: AbortSignal) => {
      await untilAborted(signal).catch(() => {});
      throw new RelayError("codex_auth_required", "The login was revoked.", { hint: "Sign in." });
    };
    expect(await check("x", dying, { limitMs: 5 })).toEqual({
      id: "x",
      status: "fail",
      summary: "The login was revoked.",
      fix: "Sign in.",
    });
  });
});

test("a bug in a check is told without its stack", async () => {
  const finding = await check("x", () => {
    throw new TypeError("undefined is not a door");
  });
  expect(finding).toEqual({
    id: "x",
    status: "fail",
    summary: "The check itself failed: undefined is not a door",
    fix: "This is a bug in the relay; please report it.",
  });
});

test.each([
  ["line one\r\nline two\u001b[2J\u0007", "line one  line two"],
  ["abc\u202egnp.exe", "abc gnp.exe"],
  ["Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln refused", "Bearer [hidden] refused"],
  ["rt_0123456789 and sk-proj-0123456789 and task-runner", "[hidden] and [hidden] and task-runner"],
  ["x".repeat(5000), "x".repeat(1000)],
])("words of strangers are made harmless: %j", async (words, shown) => {
  expect(await check("x", () => ok(words))).toMatchObject({ summary: shown });
  const thrown = await check("x", () => {
    throw new RelayError("upstream_error", words, { hint: words });
  });
  expect([thrown.summary, thrown.fix]).toEqual([shown, shown]);
});

test("colours only where they are wanted", () => {
  const finding = { id: "port", status: "fail", summary: "taken", fix: "move" } as const;
  expect(lines(finding, false)).toBe("✗ port             taken\n                   move");
  expect(lines(finding, true)).toBe("\u001b[31m✗\u001b[0m port             taken\n                   move");
});

test("the end counts, and names one thing to do: of the first failure, else of the first warning", () => {
  const warning = { id: "a", status: "warn", summary: "", fix: "first" } as const;
  const failure = { id: "b", status: "fail", summary: "", fix: "second" } as const;
  const skipped = { id: "c", status: "skip", summary: "" } as const;
  expect(closing([warning, failure, skipped])).toBe("0 ok, 1 warning, 1 failed, 1 skipped\nNext: second");
  expect(closing([warning, warning])).toBe("0 ok, 2 warnings, 0 failed\nNext: first");
  expect(closing([{ id: "d", ...ok("") }])).toBe("1 ok, 0 warnings, 0 failed");
});
