import { describe, expect, test } from "bun:test";
import bundled from "../../src/codex/bundled-models.json" with { type: "json" };
import { resolveModel, type ResolveOptions } from "../../src/codex/model-names.ts";
import type { ModelCatalogue } from "../../src/codex/models.ts";
import type { RelayError } from "../../src/lib/errors.ts";

const live: ModelCatalogue = {
  origin: "live",
  models: [...bundled.models, { slug: "gpt-5.1-codex-max", visibility: "list" }],
};
const first = bundled.models[0]?.slug ?? "";
/** The one whose description puts it at the frontier, and the first small one. */
const large = "gpt-6.2-astra";
const small = "gpt-6-luna";

function pick(name: string, aliases = {}, options: ResolveOptions = {}, models = live) {
  const { slug, effort, serviceTier } = resolveModel({ models, modelAliases: aliases }, name, options);
  return [slug, effort, serviceTier];
}

describe("a model's name with what clients and gateways put around it (router-for-me/CLIProxyAPI#5090)", () => {
  test.each<[string, string, string | undefined, string | undefined]>([
    ["gpt-5.5", "gpt-5.5", undefined, undefined],
    ["GPT-5.5", "gpt-5.5", undefined, undefined],
    ["gpt-5.5-high", "gpt-5.5", "high", undefined],
    ["gpt-5.5-fast", "gpt-5.5", undefined, "priority"],
    ["gpt-5.5-xhigh-fast", "gpt-5.5", "xhigh", "priority"],
    ["gpt-5.5-fast-low", "gpt-5.5", "low", "priority"],
    ["gpt-5.1-codex-max", "gpt-5.1-codex-max", undefined, undefined],
    ["gpt-5.1-codex-max-high", "gpt-5.1-codex-max", "high", undefined],
    ["codex-auto-review", "codex-auto-review", undefined, undefined],
    ["openai/gpt-5.5", "gpt-5.5", undefined, undefined],
    ["openrouter/openai/gpt-5.6-terra-low", "gpt-5.6-terra", "low", undefined],
    ["gpt-6-luna:latest", "gpt-6-luna", undefined, undefined],
    ["openai/gpt-6-sol-high-fast:latest", "gpt-6-sol", "high", "priority"],
    ["claude/gpt-6-sol", "gpt-6-sol", undefined, undefined],
    ["anthropic/gpt-6-luna-high", "gpt-6-luna", "high", undefined],
    ["claude-gpt-6-luna", "gpt-6-luna", undefined, undefined],
    ["claude-gpt-6-sol-low-fast", "gpt-6-sol", "low", "priority"],
    ["anthropic.gpt-5.5", "gpt-5.5", undefined, undefined],
    ["openrouter/anthropic-gpt-5.5:latest", "gpt-5.5", undefined, undefined],
  ])("%s", (requested, slug, effort, serviceTier) => {
    expect(pick(requested)).toEqual([slug, effort, serviceTier]);
  });

  test.each([
    "gpt-4o",
    "gpt-6-sol-turbo",
    "openai/gpt-0-none-high",
    "gpt-0-none:latest",
    "constructor",
    "phi-none:3b",
    "",
  ])("%p is refused with the ids that exist and the nearest of them", (requested) => {
    let error: RelayError | undefined;
    try {
      pick(requested);
    } catch (thrown) {
      error = thrown as RelayError;
    }
    expect(error?.code).toBe("model_not_found");
    expect(error?.message).toContain(`'${requested}'`);
    expect(error?.hint).toMatch(/^Did you mean 'gpt-.*'\? Models of this account: .*gpt-5\.5/);
  });
});

describe("a Claude name stands for a model of the account (decolua/9router#935)", () => {
  test.each([
    ["claude-opus-4-8", large],
    ["claude-3-opus-20240229", large],
    ["claude-fable-5", large],
    ["claude-sonnet-4-5-20250929", first],
    ["claude-next", first],
    ["claude", first],
    ["claude-3-5-haiku-latest", small],
    ["Opus", large],
    ["anthropic/claude-sonnet-5", first],
    ["anthropic/claude-sonnet-4.5", first],
    ["claude-opus-4-8[1m]", large],
  ])("%s", (requested, slug) => {
    expect(pick(requested)[0]).toBe(slug);
  });

  test.each([
    "us.anthropic.claude-opus-4-8-20251101-v1:0",
    "anthropic.claude-opus-4-8-v1:0",
    "global.anthropic.claude-opus-4-8-20251101-v1:0",
    "bedrock/eu.anthropic.claude-opus-4-8-20251101-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-8-20251101-v1:0",
    "claude-opus-4-8@20251101",
    "vertex_ai/claude-opus-4-8@20251101",
  ])("also as another cloud writes it: %s", (requested) => {
    expect(pick(requested)[0]).toBe(large);
  });

  test("a small model is not asked to search, unless its owner chose it", () => {
    expect(pick("claude-haiku-5", {}, { searchesWeb: true })[0]).toBe(first);
    expect(pick("claude-haiku-5", { haiku: small }, { searchesWeb: true })[0]).toBe(small);
  });

  test("a list that tells nothing of its models has its first for all", () => {
    const bare: ModelCatalogue = { origin: "live", models: [{ slug: "a" }, { slug: "b" }], published: ["a", "b"] };
    for (const name of ["claude-opus-5", "claude-haiku-5", "claude"]) expect(pick(name, {}, {}, bare)[0]).toBe("a");
  });
});

describe("the owner's alias", () => {
  const own = {
    opus: "gpt-5.5-high",
    "claude-opus-4-8": "gpt-6-luna",
    coder: "openai/gpt-6-sol-fast",
    "gpt-5.5": "gpt-6-sol",
  };

  test.each<[string, (string | undefined)[]]>([
    ["claude-opus-4-8", ["gpt-6-luna", undefined, undefined]],
    ["us.anthropic.claude-opus-4-8-20251101-v1:0", ["gpt-6-luna", undefined, undefined]],
    ["claude-opus-5", ["gpt-5.5", "high", undefined]],
    ["coder", ["gpt-6-sol", undefined, "priority"]],
    ["Coder:latest", ["gpt-6-sol", undefined, "priority"]],
    ["openai/coder", ["gpt-6-sol", undefined, "priority"]],
    ["claude-coder", ["gpt-6-sol", undefined, "priority"]],
    ["anthropic.coder", ["gpt-6-sol", undefined, "priority"]],
    ["claude-3-opus-20240229", ["gpt-5.5", "high", undefined]],
    ["gpt-5.5", ["gpt-6-sol", undefined, undefined]],
  ])("comes first: %s", (requested, expected) => {
    expect(pick(requested, own)).toEqual(expected);
  });

  test("of no model is an error that names both", () => {
    expect(() => pick("coder", { coder: "gpt-0" })).toThrow("The alias 'coder' stands for 'gpt-0'");
  });
});

describe("while the list may be old", () => {
  const old: ModelCatalogue = { origin: "bundled", models: [] };

  test.each<[string, string, string | undefined, string | undefined]>([
    ["gpt-9", "gpt-9", undefined, undefined],
    ["gpt-9-high", "gpt-9", "high", undefined],
    ["gpt-9-fast", "gpt-9", undefined, "priority"],
    ["openai/gpt-9-xhigh-fast:latest", "gpt-9", "xhigh", "priority"],
    ["gpt-5.1-codex-max", "gpt-5.1-codex-max", undefined, undefined],
  ])("%s passes without what is surely a suffix", (requested, slug, effort, serviceTier) => {
    expect(pick(requested, {}, {}, old)).toEqual([slug, effort, serviceTier]);
  });

  test("a name that must exist is refused all the same", () => {
    expect(() => pick("gpt-9", {}, { mustExist: true }, old)).toThrow("'gpt-9' does not exist");
  });
});
