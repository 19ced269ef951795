/** Loaded into the relay before anything else: says on SIGUSR2 how long its event loop stood still at most, and forgets it. */
let longestMs = 0;
let turns = 0;
let last = performance.now();

setInterval(() => {
  const now = performance.now();
  longestMs = Math.max(longestMs, now - last);
  last = now;
  turns += 1;
}, 1).unref();

process.on("SIGUSR2", () => {
  process.stderr.write(`event loop: ${JSON.stringify({ longestMs: Math.round(longestMs), turns })}\n`);
  longestMs = 0;
  turns = 0;
});
