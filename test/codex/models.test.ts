import { expect, test } from "bun:test";
import { clampEffort, publishedModels, type ModelCatalogue } from "../../src/codex/models.ts";

const efforts = (...levels: string[]) => ({ supported_reasoning_levels: levels.map((effort) => ({ effort })) });
const live: ModelCatalogue = {
  origin: "live",
  models: [
    { slug: "gpt-5.5", visibility: "list", ...efforts("low", "medium", "high", "xhigh") },
    { slug: "gpt-5.1-codex-max", visibility: "list" },
    { slug: "secret", visibility: "hide" },
  ],
};

test("hidden models are not published, and a list by hand replaces the account's", () => {
  expect(publishedModels(live)).toEqual(["gpt-5.5", "gpt-5.1-codex-max"]);
  expect(publishedModels({ ...live, published: ["a"] })).toEqual(["a"]);
});

test.each([
  ["minimal", "low"],
  ["max", "xhigh"],
  ["ultra", "xhigh"],
  ["medium", "medium"],
  // No model lists it and several take it.
  ["none", "none"],
])("effort %s becomes %s where the model has no such level", (asked, sent) => {
  expect(clampEffort(asked, live.models[0])).toBe(sent);
});
