import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "bun:test";
import type { CommandHome } from "./cli.ts";

type Environment = Readonly<Record<string, string>>;

/** A user code of the stand-in, as `login --device` shows it. */
export const USER_CODE = /DEMO-[A-Z0-9]{5}/;

/** What the owner does on the page of the device sign-in. The stand-in's certificate is a browser's business. */
export function approveDevice(issuer: string, userCode: string): Promise<Response> {
  const body = new URLSearchParams({ user_code: userCode });
  return fetch(`${issuer}/codex/device`, { method: "POST", body, tls: { rejectUnauthorized: false } });
}

/** `login --device` from its start to its good end. */
export async function loginByDevice(home: CommandHome, issuer: string, env?: Environment): Promise<void> {
  const login = home.start(["login", "--device"], env);
  const [userCode] = await login.says(USER_CODE);
  await approveDevice(issuer, userCode);
  expect((await login.ended).code).toBe(0);
}

/** Makes the login due for renewal: whoever reads it has to go to the login service before anything else. */
export function spoilAccessToken(authFile: string): void {
  const file = JSON.parse(readFileSync(authFile, "utf8")) as { tokens: Record<string, string> };
  file.tokens["access_token"] = "opaque";
  writeFileSync(authFile, JSON.stringify(file));
}

/** A relay of its own, started with `flags`, answers one question in full and is stopped. */
export async function expectAnswer(home: CommandHome, flags: readonly string[], env?: Environment): Promise<void> {
  const serve = home.start(["serve", "--port", "0", ...flags], env);
  const [, url] = await serve.says(/listens on (\S+)/);
  const body = JSON.stringify({ model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] });
  const reply = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
  expect([reply.status, await reply.text()]).toEqual([200, expect.stringContaining('"finish_reason":"stop"')]);
  serve.kill("SIGTERM");
  await serve.ended;
}
