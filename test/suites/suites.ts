/** Somebody else's SDK with cases of its documented use, or somebody else's own tests, by version. */
export interface Suite {
  readonly name: string;
  readonly language: "python" | "go" | "js" | "java" | "rust";
  /** As its registry names it, with the version that is measured; the first is the one that the table names. */
  readonly packages: readonly (readonly [name: string, version: string])[];
  /** In the folder of its language. */
  readonly script: string;
  /** Takes seconds to get and to run: part of every CI run. */
  readonly isQuick?: boolean;
  /** Cases that cannot hold here, for reasons that are not the relay's. */
  readonly suiteFaults?: readonly SuiteFault[];
}

/** Why some cases fail that no relay could make pass. */
export interface SuiteFault {
  readonly cases: RegExp;
  readonly reason: string;
}

export const SUITES: readonly Suite[] = [
  {
    name: "openai-python",
    language: "python",
    packages: [["openai", "3.57.0"]],
    script: "openai_sdk.py",
    isQuick: true,
  },
  {
    name: "anthropic-python",
    language: "python",
    packages: [["anthropic", "2.14.0"]],
    script: "anthropic_sdk.py",
    isQuick: true,
  },
  {
    name: "ollama-python",
    language: "python",
    packages: [["ollama", "0.6.3"]],
    script: "ollama_sdk.py",
    isQuick: true,
  },
  { name: "litellm", language: "python", packages: [["litellm", "1.110.2"]], script: "litellm_sdk.py" },
  {
    name: "langchain, pydantic-ai, openai-agents",
    language: "python",
    packages: [
      ["langchain-openai", "1.7.4"],
      ["langchain-anthropic", "1.7.10"],
      ["langchain-ollama", "1.1.0"],
      ["pydantic-ai-slim[openai,anthropic]", "2.66.0"],
      ["openai-agents", "0.24.0"],
    ],
    script: "frameworks.py",
  },
  { name: "openai-go", language: "go", packages: [["github.com/openai/openai-go/v3", "3.98.0"]], script: "openai.go" },
  {
    name: "anthropic-go",
    language: "go",
    packages: [["github.com/anthropics/anthropic-sdk-go/v2", "2.15.0"]],
    script: "anthropic.go",
  },
  {
    name: "openai-java",
    language: "java",
    packages: [["com.openai:openai-java", "4.101.0"]],
    script: "OpenAiCases.java",
  },
  {
    name: "anthropic-java",
    language: "java",
    packages: [["com.anthropic:anthropic-java", "3.14.0"]],
    script: "AnthropicCases.java",
  },
  {
    name: "async-openai",
    language: "rust",
    // The versions of the others are whatever fits it.
    packages: [["async-openai", "0.43.0"]],
    script: "async_openai.rs",
  },
  { name: "codex-sdk", language: "js", packages: [["@openai/codex-sdk", "0.163.0"]], script: "codex-sdk.mjs" },
];
