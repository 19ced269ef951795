import { describe, expect, test } from "bun:test";
import { clampEffort, publishedModels, resolveModel, type ModelCatalogue } from "../../src/codex/models.ts";

const efforts = (...levels: string[]) => ({ supported_reasoning_levels: levels.map((effort) => ({ effort })) });
const live: ModelCatalogue = {
  origin: "live",
  models: [
    { slug: "gpt-5.5", visibility: "list", ...efforts("low", "medium", "high", "xhigh") },
    { slug: "gpt-5.1-codex-max", visibility: "list" },
    { slug: "secret", visibility: "hide" },
  ],
};

describe("a model string", () => {
  test.each([
    ["gpt-5.5", "gpt-5.5", undefined, undefined],
    ["openai/gpt-5.5", "gpt-5.5", undefined, undefined],
    ["gpt-5.5-high", "gpt-5.5", "high", undefined],
    ["gpt-5.5-fast", "gpt-5.5", undefined, "priority"],
    ["gpt-5.5-xhigh-fast", "gpt-5.5", "xhigh", "priority"],
    ["gpt-5.5-fast-low", "gpt-5.5", "low", "priority"],
    ["gpt-5.1-codex-max", "gpt-5.1-codex-max", undefined, undefined],
    ["gpt-5.1-codex-max-high", "gpt-5.1-codex-max", "high", undefined],
    ["secret", "secret", undefined, undefined],
  ])("%s", (requested, slug, effort, serviceTier) => {
    const model = resolveModel(live, requested);
    expect([model.slug, model.effort, model.serviceTier]).toEqual([slug, effort, serviceTier]);
  });

  test("that nobody knows is refused with the ids that exist", () => {
    expect(() => resolveModel(live, "gpt-4o")).toThrow("'gpt-4o' does not exist");
  });

  test.each([
    ["gpt-9", "gpt-9", undefined, undefined],
    ["gpt-9-high", "gpt-9", "high", undefined],
    ["gpt-9-fast", "gpt-9", undefined, "priority"],
    ["gpt-9-xhigh-fast", "gpt-9", "xhigh", "priority"],
    ["gpt-5.1-codex-max", "gpt-5.1-codex-max", undefined, undefined],
  ])("%s passes while the list may be stale", (requested, slug, effort, serviceTier) => {
    const model = resolveModel({ origin: "bundled", models: [] }, requested);
    expect([model.slug, model.effort, model.serviceTier]).toEqual([slug, effort, serviceTier]);
  });
});

test("hidden models are not published, and a list by hand replaces the account's", () => {
  expect(publishedModels(live)).toEqual(["gpt-5.5", "gpt-5.1-codex-max"]);
  expect(publishedModels({ ...live, published: ["a"] })).toEqual(["a"]);
});

test.each([
  ["minimal", "low"],
  ["none", "low"],
  ["max", "xhigh"],
  ["ultra", "xhigh"],
  ["medium", "medium"],
])("effort %s becomes %s where the model has no such level", (asked, sent) => {
  expect(clampEffort(asked, live.models[0])).toBe(sent);
});
