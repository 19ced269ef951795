import { afterEach, beforeEach, expect } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "./cli.ts";
import { jwt } from "./token-server.ts";

interface Check {
  readonly id: string;
  readonly status: string;
  readonly summary: string;
  readonly fix?: string;
  readonly detail?: Record<string, unknown>;
}

/** Root may read, write and listen everywhere until those rights are taken from it. */
export const asOthers =
  process.getuid?.() === 0
    ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner,-net_bind_service", "--"]
    : [];
export const canBeOthers = asOthers.length === 0 || Bun.which("setpriv") !== null;

/** A login whose token has ended, with a refresh token that nobody issued. */
export const expired = (more: object = {}) => ({
  auth_mode: "chatgpt",
  tokens: { access_token: jwt({ exp: 1 }), refresh_token: "rt_secret", account_id: "a", ...more },
});

/** A machine of its own for every test of a file: home, login and stand-in backend. */
export function usePatient(): Patient {
  const patient = new Patient();
  beforeEach(() => patient.enter());
  afterEach(() => patient.leave());
  return patient;
}

class Patient {
  backend!: StandIn;
  home!: CommandHome;
  /** Its auth.json. */
  file!: string;
  #issued: string[] = [];

  enter(): void {
    this.backend = startStandIn();
    this.home = new CommandHome({
      PLANSOCKET_ISSUER: this.backend.issuer,
      PLANSOCKET_BASE_URL: this.backend.baseUrl,
      PLANSOCKET_OPENAI_BASE_URL: this.backend.openaiBaseUrl,
      PLANSOCKET_PORT: "0",
    });
    this.file = join(this.home.path, ".codex/auth.json");
    this.#issued = [];
    mkdirSync(dirname(this.file));
  }

  async leave(): Promise<void> {
    await this.backend.stop();
    this.home.remove();
  }

  writeLogin(content: object | string = this.backend.issueLogin().authJson, mode = 0o600): void {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(this.file, text);
    chmodSync(this.file, mode);
    this.#remember(text);
  }

  /** What the doctor says; no token, key or stack may be in it, whatever is wrong. */
  async examine(
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
    wrapper: readonly string[] = [],
  ) {
    for (const value of Object.values(env)) this.#remember(`"${value}"`);
    const { code, out, err } = await this.home.run(["doctor", "--json", ...args], env, wrapper);
    expect(err).toBe("");
    this.expectNoSecret(out);
    const report = JSON.parse(out) as { ok: boolean; checks: Check[] };
    expect(report.ok).toBe(code === 0);
    const told = report.checks.map(({ detail: _facts, ...words }) => words as Check);
    return {
      code,
      /** Without their details. */
      checks: told,
      find: (id: string) => told.find((finding) => finding.id === id),
      detail: (id: string) => report.checks.find((finding) => finding.id === id)?.detail,
    };
  }

  /** Neither a secret that was given, nor one that a renewal brought, nor anything that looks like one. */
  expectNoSecret(text: string): void {
    try {
      this.#remember(readFileSync(this.file, "utf8"));
    } catch {
      // Then there is none.
    }
    for (const secret of this.#issued) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/eyJ[\w-]+\.|rt_stand_in|sk-stand-in|rt_secret|s3cret/);
    expect(text).not.toMatch(/\.ts:\d+|\n\s+at /);
  }

  #remember(json: string): void {
    this.#issued.push(...[...json.matchAll(/"(eyJ[^"]+|rt_[^"]+|sk-[^"]+)"/g)].map((match) => match[1] ?? ""));
  }
}
