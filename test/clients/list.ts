import { PROMPT, type Client, type Task } from "./client.ts";

const UNASKED = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];

const codexArgs = ({ way, model }: Task, settings: readonly string[]) => [
  "exec",
  ...UNASKED,
  ...["features.plugins", "features.apps", "analytics.enabled", ...settings].flatMap((name) => ["-c", `${name}=false`]),
  ...(way.startsWith("setup") ? ["--profile", "plansocket"] : model === "" ? [] : ["-m", model]),
  PROMPT,
];

const CODEX = { name: "codex", command: "codex", package: { registry: "npm", name: "@openai/codex" } } as const;

export const CLIENTS: readonly Client[] = [
  // By `run` it speaks HTTP, after `setup` over a WebSocket unless told otherwise.
  {
    ...CODEX,
    args: (task) => codexArgs(task, []),
    upstream: ({ way, transport }) => (way === "run" ? "http" : transport),
    isChained: true,
  },
  {
    ...CODEX,
    args: (task) => codexArgs(task, ["model_providers.plansocket.supports_websockets"]),
    ways: ["setup"],
    upstream: () => "http",
    remark: "over HTTP",
  },
  {
    ...CODEX,
    // Setup has switched off what the others are told here.
    args: () => ["exec", ...UNASKED, "--profile", "plansocket", PROMPT],
    ways: ["setup --as-builtin"],
    remark: "its own provider",
  },
  {
    name: "claude-code",
    command: "claude",
    package: { registry: "npm", name: "@anthropic-ai/claude-code" },
    args: () => ["-p", PROMPT, "--output-format", "text", "--dangerously-skip-permissions"],
    // As root it runs tools unasked only where it believes to be fenced in.
    env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", IS_SANDBOX: "1" },
  },
  {
    name: "opencode",
    command: "opencode",
    package: { registry: "npm", name: "opencode-ai" },
    args: ({ model }) => ["run", ...(model === "" ? [] : ["--model", `plansocket/${model}`]), PROMPT],
    env: { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1" },
    files: { "opencode.json": JSON.stringify({ permission: { edit: "allow", bash: "allow" } }) },
  },
  {
    name: "kilo",
    command: "kilo",
    package: { registry: "npm", name: "@kilocode/cli" },
    args: ({ model }) => ["run", ...(model === "" ? [] : ["--model", `plansocket/${model}`]), PROMPT],
    env: { KILO_DISABLE_AUTOUPDATE: "1", KILO_DISABLE_MODELS_FETCH: "1", KILO_DISABLE_LSP_DOWNLOAD: "1" },
    files: { "kilo.json": JSON.stringify({ permission: { edit: "allow", bash: "allow" } }) },
  },
  {
    name: "pi",
    command: "pi",
    package: { registry: "npm", name: "@earendil-works/pi-coding-agent" },
    args: () => ["--no-session", "-p", PROMPT],
    env: { PI_OFFLINE: "1", PI_TELEMETRY: "0" },
  },
  {
    name: "qwen-code",
    command: "qwen",
    package: { registry: "npm", name: "@qwen-code/qwen-code" },
    args: () => ["--yolo", "-p", PROMPT],
  },
  {
    name: "cline",
    command: "cline",
    package: { registry: "npm", name: "cline" },
    args: () => ["--json", "--auto-approve", "true", PROMPT],
  },
  {
    name: "copilot",
    command: "copilot",
    package: { registry: "npm", name: "@github/copilot" },
    args: () => ["--allow-all-tools", "--no-auto-update", "-p", PROMPT],
    // It has no file for this: a provider of one's own is named by variables alone.
    ways: ["run", "run --demo"],
  },
  {
    name: "continue",
    command: "cn",
    package: { registry: "npm", name: "@continuedev/cli" },
    args: ({ way }) => [...(way === "setup" ? ["--config", "../.continue/config.yaml"] : []), "--auto", "-p", PROMPT],
    env: { CONTINUE_TELEMETRY_ENABLED: "0" },
  },
  {
    name: "droid",
    command: "droid",
    package: { registry: "npm", name: "droid" },
    args: ({ way, model }) => [
      "exec",
      "--auto",
      "high",
      ...(way === "setup" ? ["--model", `custom:${model}`] : []),
      PROMPT,
    ],
  },
  {
    name: "aider",
    command: "aider",
    package: { registry: "pypi", name: "aider-chat" },
    args: () => ["--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--message", "Say hello."],
    hasNoTools: true,
  },
  {
    name: "hermes",
    command: "hermes",
    package: { registry: "pypi", name: "hermes-agent" },
    args: () => ["chat", "--yolo", "-q", PROMPT],
    ways: ["setup"],
  },
];
