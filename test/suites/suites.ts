/** Somebody else's SDK with cases of its documented use, or somebody else's own tests, by version. */
export interface Suite {
  readonly name: string;
  readonly language: "python" | "go" | "js" | "java" | "rust";
  /** As its registry names it, with the version that is measured; the first is the one that the table names. */
  readonly packages: readonly (readonly [name: string, version: string])[];
  /** In the folder of its language. */
  readonly script: string;
  /** What it takes from the source package of the first, whose tests are not in what is installed. */
  readonly own?: OwnTests;
  /** Takes seconds to get and to run: part of every CI run. */
  readonly isQuick?: boolean;
  /** Cases that cannot hold here, for reasons that are not the relay's. */
  readonly excuses?: readonly Excuse[];
}

/** The tests that an SDK's source package brings, made for a mock server at a base URL. */
export interface OwnTests {
  /** What its base URL adds to the relay's. */
  readonly base: "" | "/v1";
  readonly paths: readonly string[];
}

/** Why some cases fail that no relay of the plan could make pass. */
export interface Excuse {
  readonly cases: RegExp;
  /** What they fail with. Another failure of the same cases is not excused. */
  readonly says: RegExp;
  readonly reason: string;
  /** They ask for what the relay does not offer, and are told so: they do not apply. */
  readonly isOutOfScope?: boolean;
}

/** What the SDKs' own tests need. */
const PYTEST = [
  ["pytest", "9.2.0"],
  ["pytest-asyncio", "1.5.0"],
  ["aiohttp", "3.14.5"],
  ["httpx-aiohttp", "0.2.0"],
  ["httpx2", "2.16.2"],
  ["inline-snapshot", "0.36.1"],
  ["http-snapshot", "0.1.9"],
  ["rich", "15.0.0"],
] as const;

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
    name: "pydantic-ai",
    language: "python",
    packages: [["pydantic-ai-slim[openai,anthropic]", "2.68.0"]],
    script: "pydantic_ai_cases.py",
  },
  {
    name: "claude-agent-sdk (Python)",
    language: "python",
    packages: [["claude-agent-sdk", "0.2.189"]],
    script: "claude_agent_cases.py",
  },
  {
    name: "openai-agents",
    language: "python",
    packages: [["openai-agents", "0.24.0"]],
    script: "openai_agents_sdk.py",
  },
  {
    name: "langchain-tests",
    language: "python",
    packages: [
      ["langchain-tests", "1.1.9"],
      ["langchain-openai", "1.7.4"],
      ["langchain-anthropic", "1.7.10"],
      ["langchain-ollama", "1.1.0"],
    ],
    script: "langchain_standard.py",
  },
  {
    name: "openai-python's own tests",
    language: "python",
    packages: [["openai", "3.57.0"], ...PYTEST],
    script: "own_tests.py",
    own: {
      base: "/v1",
      paths: [
        "tests/api_resources/test_models.py",
        "tests/api_resources/test_completions.py",
        "tests/api_resources/test_images.py",
        "tests/api_resources/chat/test_completions.py",
        "tests/api_resources/test_responses.py",
        "tests/api_resources/responses",
        "tests/api_resources/audio/test_transcriptions.py",
      ],
    },
    excuses: [
      {
        cases: /^test_models.*delete|^test_images.*variation|^chat.*_(?:retrieve|update|list|delete)/,
        says: /is not allowed on|is not offered by this relay|Unknown request URL/,
        reason: "routes that the relay does not offer: variations, chat completions by id, deletion of models",
        isOutOfScope: true,
      },
      {
        // A mock server's values: max_tokens 0, a stored response that nobody made.
        cases: /with_all_params/,
        says: /not supported by the Codex backend|below minimum value|no times and no speakers|_(?:id|123)' not found|No response found/,
        reason: "every field of the API at once, with those that the plan does not have; the first is refused by name",
        isOutOfScope: true,
      },
      {
        cases: /^test_responses.*_(?:retrieve|delete|cancel)|^responses\/test_input_items/,
        says: /No response found with id/,
        reason: "ids that nobody made: the SDK's mock server knows every id",
      },
      {
        cases: /^test_responses.*_(?:create_overload|compact)/,
        says: /Missing required parameter: '(?:model|input)'/,
        reason: "requests without a model or an input: the SDK's mock server takes any",
      },
      {
        cases: /^test_images.*edit/,
        says: /Invalid image file/,
        reason: "the words 'Example data' as an image",
      },
    ],
  },
  {
    name: "anthropic-python's own tests",
    language: "python",
    packages: [["anthropic", "2.14.0"], ...PYTEST],
    script: "own_tests.py",
    own: {
      base: "",
      paths: [
        "tests/api_resources/test_models.py",
        "tests/api_resources/test_messages.py",
        "tests/api_resources/beta/test_models.py",
        "tests/api_resources/beta/test_messages.py",
      ],
    },
    excuses: [
      {
        cases: /with_all_params/,
        says: /run on Anthropic's own machines|called by Anthropic's own service/,
        reason: "every field of the API at once, with skills and MCP servers of Anthropic's; refused by name",
        isOutOfScope: true,
      },
    ],
  },
  {
    name: "open-responses",
    language: "python",
    packages: [
      ["openresponses-types", "2.4.0"],
      ["httpx", "0.28.1"],
      ["websockets", "17.4"],
    ],
    script: "open_responses.py",
    excuses: [
      {
        cases: /ends with done/,
        says: /no \[DONE\]/,
        reason: "the specification wants [DONE] at the end; OpenAI's API, whose shape the relay has, ends without",
      },
      {
        cases: /text by a schema/,
        says: /^ValidationError: 3 validation errors[^]*JsonSchemaResponseFormat\.schema\s+Input should be None/,
        reason: "the specification's type of a response takes no schema in it but null",
      },
    ],
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
  {
    name: "claude-agent-sdk",
    language: "js",
    packages: [
      ["@anthropic-ai/claude-agent-sdk", "0.3.332"],
      ["zod", "4.6.7"],
    ],
    script: "claude-agent-sdk.mjs",
  },
  {
    name: "openai-agents-js",
    language: "js",
    packages: [
      ["@openai/agents", "0.20.0"],
      ["openai", "7.55.0"],
      ["zod", "4.6.7"],
    ],
    script: "openai-agents.mjs",
  },
  {
    name: "ai-sdk",
    language: "js",
    packages: [
      ["ai", "7.0.173"],
      ["@ai-sdk/openai", "4.0.118"],
      ["@ai-sdk/anthropic", "4.0.105"],
      ["@ai-sdk/open-responses", "2.0.36"],
      ["@ai-sdk/openai-compatible", "3.0.92"],
      ["zod", "4.6.7"],
    ],
    script: "ai-sdk.mjs",
  },
];
