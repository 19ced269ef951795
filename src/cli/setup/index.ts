import type { ClientSetup } from "./client.ts";
import { aider } from "./clients/aider.ts";
import { claudeCode } from "./clients/claude-code.ts";
import { claudeDesktop, cursor } from "./clients/by-hand.ts";
import { cline } from "./clients/cline.ts";
import { codex } from "./clients/codex.ts";
import { continueDev } from "./clients/continue.ts";
import { droid } from "./clients/droid.ts";
import { env } from "./clients/env.ts";
import { hal } from "./clients/hal.ts";
import { hermes } from "./clients/hermes.ts";
import { openWebui } from "./clients/open-webui.ts";
import { openclaw } from "./clients/openclaw.ts";
import { kilo, opencode } from "./clients/opencode.ts";
import { pi } from "./clients/pi.ts";
import { qwenCode } from "./clients/qwen-code.ts";
import { shelley } from "./clients/shelley.ts";
import { vscode } from "./clients/vscode.ts";
import { zed } from "./clients/zed.ts";

/** Every client that `setup` knows, by the name given on the command line. A new one is one file and one line. */
export const CLIENTS: Readonly<Record<string, ClientSetup>> = {
  "claude-code": claudeCode,
  "claude-desktop": claudeDesktop,
  codex,
  opencode,
  cline,
  aider,
  continue: continueDev,
  pi,
  "qwen-code": qwenCode,
  hermes,
  vscode,
  zed,
  droid,
  kilo,
  cursor,
  "open-webui": openWebui,
  hal,
  openclaw,
  shelley,
  env,
};
