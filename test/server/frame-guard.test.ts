import { expect, test } from "bun:test";
import { FrameGuard } from "../../src/server/websocket/frame-guard.ts";

const MIB = 1024 * 1024;

/** A guard over memory that the test makes up, and how many sockets it spared each time that it turned some away. */
function guarded(slackBytes = 32 * MIB) {
  const world = { resident: 100 * MIB, held: 0, count: 24 };
  const turned: number[] = [];
  const guard = new FrameGuard({
    count: () => world.count,
    turnAway: (spared) => turned.push(spared),
    heldBytes: () => world.held,
    slackBytes,
    residentBytes: () => world.resident,
  });
  return { world, turned, guard };
}

test("sockets are turned away when memory grows by more than requests account for", () => {
  const { world, turned, guard } = guarded();
  guard.look();
  world.resident += 32 * MIB;
  guard.look();
  expect(turned).toEqual([]);
  world.resident += 1;
  guard.look();
  expect(turned).toEqual([1]);
  // From now on growth counts anew.
  guard.look();
  expect(turned).toEqual([1]);
});

test("memory that requests hold turns nobody away", () => {
  const { world, turned, guard } = guarded();
  guard.look();
  world.resident += 500 * MIB;
  world.held += 480 * MIB;
  guard.look();
  expect(turned).toEqual([]);
});

test("slow growth turns nobody away: a relay that runs for days holds more and less", () => {
  const { world, turned, guard } = guarded();
  for (let look = 0; look < 1000; look += 1) {
    world.resident += MIB;
    guard.look();
  }
  expect(turned).toEqual([]);
});

test("a single socket is not watched", () => {
  const { world, turned, guard } = guarded();
  world.count = 1;
  guard.update();
  world.count = 2;
  guard.update();
  world.count = 1;
  guard.update();
  expect(turned).toEqual([]);
});
