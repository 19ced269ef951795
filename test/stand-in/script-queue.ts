/** Steps taken one by one, each as often as its `times` says. */
export class ScriptQueue<Step extends { readonly times?: number }> {
  readonly #steps: { step: Step; left: number }[] = [];

  push(steps: readonly Step[]): void {
    for (const step of steps) this.#steps.push({ step, left: step.times ?? 1 });
  }

  next(): Step | undefined {
    const first = this.#steps[0];
    if (!first) return undefined;
    first.left -= 1;
    if (first.left <= 0) this.#steps.shift();
    return first.step;
  }
}
