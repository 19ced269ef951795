#!/usr/bin/env node
// Runs the executable that npm installed beside this package for the machine's platform, with the same arguments,
// streams and exit code.
"use strict";
const { spawn } = require("node:child_process");
const { constants } = require("node:os");

/** Names of packages that may fit, the likeliest first. */
function candidates() {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const plain = `plansocket-${system}-${process.arch}`;
  if (system !== "linux") return [plain];
  // Not on musl; a report of the network would ask DNS.
  process.report.excludeNetwork = true;
  const isGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return isGlibc ? [plain, `${plain}-musl`] : [`${plain}-musl`, plain];
}

function executable() {
  const file = process.platform === "win32" ? "plansocket.exe" : "plansocket";
  for (const name of candidates()) {
    try {
      return require.resolve(`${name}/bin/${file}`);
    } catch {
      // npm did not install this one.
    }
  }
  return undefined;
}

const path = executable();
if (path === undefined) {
  console.error(`plansocket: npm installed no executable for ${process.platform}-${process.arch}`);
  console.error("  Install it without --omit=optional; where there is none for this platform, build it from source.");
  process.exit(1);
}

let child;
// Before the executable starts: a signal in between would leave it behind. A terminal sends its interrupt to both, and
// the executable must not get it twice, for it then stops at once.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child?.kill(signal);
  });
}
child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`plansocket: ${path} does not run: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  process.exit(code === null ? 128 + (constants.signals[signal] ?? 0) : code);
});
