import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasEnded, processFacts } from "../../../src/cli/background/process.ts";
import { probe } from "../../../src/cli/background/probe.ts";
import type { State } from "../../../src/cli/background/state.ts";
import { startDemoRelay } from "../../support/demo.ts";
import { eventually } from "../../support/relay.ts";

const stateOf = (over: Partial<State>): State => ({
  command: "serve",
  instance: "mine",
  pid_file: "/p",
  log_file: "/l",
  settings: {},
  secrets: {},
  environment: {},
  login_variables: [],
  ...over,
});

test("a process keeps its mark, another has another, one that is gone has none", async () => {
  const own = processFacts(process.pid);
  expect(own?.mark).toBeString();
  expect(processFacts(process.pid)).toEqual(own);
  // Marks are as fine as the system's clock ticks, a hundredth of a second.
  await Bun.sleep(30);
  const child = Bun.spawn(["sleep", "60"]);
  const facts = processFacts(child.pid);
  expect(facts?.mark).toBeString();
  expect(facts?.mark).not.toBe(own?.mark);
  expect(await hasEnded(child.pid, facts?.mark, 0)).toBe(false);
  child.kill("SIGKILL");
  await child.exited;
  expect(processFacts(child.pid)).toBeUndefined();
  expect(await hasEnded(child.pid, facts?.mark, 0)).toBe(true);
});

test.skipIf(process.platform !== "linux")("a process that has ended but was not collected is gone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "plansocket-zombie-"));
  const pidFile = join(folder, "pid");
  // The shell's child ends; what the shell becomes does not know that it has one.
  const parent = Bun.spawn(["sh", "-c", 'sleep 0.05 & echo $! > "$0"; exec sleep 60', pidFile]);
  try {
    let pid = 0;
    const state = () => {
      pid = Number(readFileSync(pidFile, { encoding: "utf8", flag: "a+" }).trim());
      return pid > 0 ? readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0] : undefined;
    };
    await eventually(() => state() === "Z", 5000);
    // The signal that asks whether it lives would still go through.
    expect(process.kill(pid, 0)).toBe(true);
    expect(processFacts(pid)).toBeUndefined();
  } finally {
    parent.kill("SIGKILL");
    await parent.exited;
    rmSync(folder, { recursive: true, force: true });
  }
});

test("only the process that was started is taken for the relay", async () => {
  const demo = startDemoRelay();
  const { relay } = demo;
  const mark = processFacts(process.pid)?.mark;
  const here = { pid: process.pid, process_mark: mark, url: relay.url, instance: relay.instanceId };
  try {
    expect(await probe(undefined)).toEqual({ kind: "stopped" });
    expect(await probe(stateOf({}))).toEqual({ kind: "stopped" });
    expect(await probe(stateOf(here))).toMatchObject({ kind: "running", pid: process.pid, url: relay.url });
    // The number belongs to another program by now, whoever answers on the port.
    expect(await probe(stateOf({ ...here, process_mark: "earlier" }))).toEqual({ kind: "stopped" });
    // The process lives, but what answers is another instance.
    expect(await probe(stateOf({ ...here, instance: "other" }))).toEqual({ kind: "silent", pid: process.pid });
  } finally {
    await demo.stop();
  }
  expect(await probe(stateOf(here))).toEqual({ kind: "silent", pid: process.pid });
});
