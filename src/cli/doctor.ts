import { defineCommand } from "citty";
import { join } from "node:path";
import type { LoginFacts } from "../auth/keeper.ts";
import { codexHome, stateFolder } from "../config/paths.ts";
import { RelayError } from "../lib/errors.ts";
import { SILENT_LOG } from "../lib/log.ts";
import { check, closing, lines, skip, type Finding } from "./doctor/finding.ts";
import { liveFindings } from "./doctor/live.ts";
import { gateCheck, portCheck, settingsCheck, versionCheck } from "./doctor/local.ts";
import { loginCheck, storageCheck, tokenCheck } from "./doctor/login.ts";
import {
  backendCheck,
  clockCheck,
  modelsCheck,
  proxyCheck,
  publicApiCheck,
  serviceCheck,
  type Heard,
  type ModelList,
} from "./doctor/network.ts";
import { citty, parseFlags, type OwnFlag } from "./flags.ts";
import { print } from "./output.ts";
import { listen, wire, type Wiring } from "./wire.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  json: { help: "print JSON" },
  live: { help: "also send one tiny request to every endpoint; costs a little of the plan" },
  url: { value: "URL", help: "with --live: try a relay that is already running, with its --api-key" },
};

export const doctor = defineCommand({
  meta: { name: "doctor", description: "Check login, network, backend and port, and say how to mend what is wrong." },
  args: citty(OWN),
  async run({ rawArgs }) {
    const { settings, own } = parseFlags(rawArgs, OWN);
    const url = urlOf(own["url"]);
    const report = reporter(own["json"] === true);
    const wiring = await settingsOrFinding(() => wire(settings, process.env, { log: SILENT_LOG }));
    if (!("log" in wiring)) report.add(wiring);
    else if (url !== undefined) report.add(...(await liveFindings({ url, apiKey: wiring.settings.apiKey })));
    else {
      await examine(wiring, (...findings) => report.add(...findings));
      if (own["live"] === true) report.add(...(await tryOwnRelay(wiring)));
    }
    return report.end();
  },
});

async function settingsOrFinding(load: () => Promise<Wiring>): Promise<Wiring | Finding> {
  const loaded: { wiring?: Wiring } = {};
  const finding = await check("settings", async () => {
    loaded.wiring = await load();
    return settingsCheck(loaded.wiring);
  });
  return loaded.wiring ?? finding;
}

/** All checks that cost nothing, in the order in which a person would look. */
async function examine(wiring: Wiring, add: (...findings: Finding[]) => void): Promise<void> {
  const { settings } = wiring;
  const authFile = settings.authFile ?? join(codexHome(process.env), "auth.json");
  const { clientVersion } = wiring;
  add(await check("version", () => versionCheck(clientVersion)));
  add(await check("settings", () => settingsCheck(wiring)));
  const heard: Heard[] = [];
  const hear = (news: Heard) => heard.push(news);

  const login = await check("login", () => loginCheck(wiring, authFile));
  add(login);
  const facts = login.status === "fail" ? undefined : await wiring.credentials.describe();
  const isApiKey = facts?.kind === "api-key";
  const tokenUrl = settings.tokenUrl ?? `${settings.issuer}/oauth/token`;
  const urls = isApiKey ? [settings.openaiBaseUrl] : [tokenUrl, settings.baseUrl];
  add(await check("storage", () => (facts ? storageCheck(facts, authFile, stateDirOf(wiring)) : skip("no login"))));
  add(await check("proxy", () => proxyCheck(wiring, urls)));

  const service = isApiKey
    ? Promise.resolve(undefined)
    : check("sign-in", (signal) => serviceCheck(wiring, tokenUrl, hear, signal));
  const token = await check("token", () => (facts ? tokenCheck(wiring, facts) : skip("no login")));
  add(...[await service, token].filter((finding) => finding !== undefined));
  add(...(await backendFindings(wiring, facts, token, hear)));
  add(await check("clock", () => clockCheck(heard)));
  add(await check("port", () => portCheck(wiring)));
  add(await check("gate", () => withOwnRelay(wiring, (relay) => gateCheck(relay, wiring))));
}

async function backendFindings(
  wiring: Wiring,
  facts: LoginFacts | undefined,
  token: Finding,
  heard: (heard: Heard) => void,
): Promise<Finding[]> {
  const { clientVersion } = wiring;
  if (!facts || token.status === "fail") {
    return ["backend", "models"].map((id) => ({ id, ...skip("needs a login that works") }));
  }
  if (facts.kind === "api-key") return [await check("backend", (signal) => publicApiCheck(wiring, signal))];
  const found: { models?: ModelList["models"]; heard: (heard: Heard) => void } = { heard };
  const backend = await check("backend", (signal) => backendCheck(wiring, clientVersion, found, signal));
  const { models } = found;
  const list = await check("models", () =>
    models ? modelsCheck(wiring, models, clientVersion) : skip("the backend gave no list"),
  );
  return [backend, list];
}

function stateDirOf({ settings }: Wiring): string {
  return settings.stateDir ?? stateFolder(process.env);
}

/** The same relay as `serve` would be, on a port of its own and for this machine only. */
async function withOwnRelay<Result>(
  wiring: Wiring,
  use: (relay: ReturnType<typeof listen>) => Promise<Result>,
): Promise<Result> {
  const settings = { ...wiring.settings, addr: undefined, host: "127.0.0.1", port: 0 };
  const relay = listen({ ...wiring, settings });
  try {
    return await use(relay);
  } finally {
    await relay.stop();
  }
}

function tryOwnRelay(wiring: Wiring): Promise<Finding[]> {
  return withOwnRelay(wiring, async (relay) => {
    const found = await liveFindings({ url: relay.url, apiKey: wiring.settings.apiKey });
    return found.map((finding) => ({ ...finding, id: `live ${finding.id}` }));
  });
}

function reporter(isJson: boolean) {
  const all: Finding[] = [];
  return {
    add(...findings: Finding[]) {
      all.push(...findings);
      if (!isJson) for (const finding of findings) print(lines(finding, process.stdout.isTTY));
    },
    end(): number {
      if (isJson)
        print(JSON.stringify({ ok: all.every(({ status }) => status !== "fail"), checks: all }, undefined, 2));
      else print(`\n${closing(all)}`);
      return all.some(({ status }) => status === "fail") ? 1 : 0;
    },
  };
}

function urlOf(text: string | true | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (typeof text === "string" && /^https?:\/\/[^/\s]+/.test(text)) return text.replace(/\/+(v1\/?)?$/, "");
  throw new RelayError("usage", `Bad value '${String(text).slice(0, 80)}' for --url.`, {
    hint: "It is like http://127.0.0.1:8787.",
  });
}
