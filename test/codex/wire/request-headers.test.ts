import { describe, expect, test } from "bun:test";
import { isCodexClient } from "../../../src/codex/wire/request-headers.ts";

describe("who is a Codex client", () => {
  test.each([
    [{ originator: "codex_cli_rs" }, true],
    [{ originator: "codex-tui" }, true],
    [{ originator: "codex_vscode" }, true],
    [{ originator: "Codex Desktop" }, true],
    [{ "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm" }, true],
    [{ "user-agent": "Codex Desktop/26.1 (Mac OS 15.0; arm64)" }, true],
    [{ originator: "pi" }, false],
    [{ originator: "codexterous" }, false],
    [{ "user-agent": "OpenAI/JS 7.55.0" }, false],
    [{ "user-agent": "my-codex-client/1.0" }, false],
    [{}, false],
  ])("%j: %p", (headers, isOne) => {
    expect(isCodexClient(new Headers(headers as Record<string, string>))).toBe(isOne);
  });
});
