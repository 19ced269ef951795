/** Looks again and again until `check` holds. Throws when it does not within so many milliseconds. */
export async function until(check: () => boolean | Promise<boolean>, withinMs = 5000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`it did not happen within ${withinMs / 1000} seconds`);
    await Bun.sleep(10);
  }
}
