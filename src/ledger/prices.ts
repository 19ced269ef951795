import type { Total } from "./queries.ts";

/** The owner's own prices of a model, for a million tokens each. Cached input costs as much as other when not given. */
interface Price {
  readonly input: number;
  readonly cached?: number | undefined;
  readonly output: number;
}

/** By model id. */
export type Prices = Readonly<Record<string, Price>>;

/** What the tokens would cost by these prices: a list price, and no bill. Undefined where no model of them has one. */
export function listPrice({ byModel }: Pick<Total, "byModel">, prices: Prices): number | undefined {
  const priced = byModel.flatMap(({ model, input, cached, output }) => {
    const price = prices[model];
    if (!price) return [];
    const plain = (input - cached) * price.input + cached * (price.cached ?? price.input);
    return [(plain + output * price.output) / 1_000_000];
  });
  return priced.length === 0 ? undefined : priced.reduce((sum, cost) => sum + cost, 0);
}
