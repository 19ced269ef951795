import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { defineCommand } from "citty";
import { loadSettings, type Judgment } from "../../config/load.ts";
import { stateFolder } from "../../config/paths.ts";
import type { SettingName } from "../../config/settings.ts";
import { keysPath } from "../../keys/key-file.ts";
import { printableText } from "../../lib/printable.ts";
import { answerTo, firstModel, type Answer, type Endpoint } from "../ask/answer.ts";
import { questionOf } from "../ask/question.ts";
import {
  ADDRESS_SETTINGS,
  BACKEND_NEEDS,
  BACKEND_SETTINGS,
  citty,
  parseFlags,
  type OwnFlag,
  type ParsedFlags,
} from "../flags.ts";
import { printJson } from "../output.ts";
import { relayAt } from "../relay-at.ts";
import { addressOf, isFindable, ownTls, ownUrl } from "../own-relay.ts";
import { listen, openServices, PLAIN } from "../services.ts";
import { modelsOf } from "../setup/target.ts";
import { stdout } from "../streams.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  model: { value: "MODEL", help: "model to ask (default: the first of the account)" },
  effort: { value: "EFFORT", help: "reasoning effort, as in low, medium or high" },
  image: { value: "FILE", help: "a PNG, JPEG, GIF or WebP image to ask about" },
  json: { help: "print JSON with answer, model and token counts once it is whole" },
};

const SETTINGS_USED: readonly SettingName[] = [
  "host",
  "port",
  "addr",
  "apiKey",
  "basePath",
  "tlsCert",
  ...BACKEND_SETTINGS,
];
const JUDGMENT: Judgment = { needs: [...ADDRESS_SETTINGS, ...BACKEND_NEEDS] };

/**
 * Nobody watches a question for longer than this without a sign of life; a relay that serves others waits longer. With the
 * five seconds that the list of models may take before, a silent backend ends the command within twenty.
 */
const FIRST_BYTE_SECONDS = 12;

export const ask = defineCommand({
  meta: {
    name: "ask",
    description:
      "Ask one question and print the answer as it comes, through the relay that runs here or, when none does, with one just for the question. Piped text is added to the question.",
  },
  args: citty(OWN, SETTINGS_USED),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN, { takesOperands: true });
    const question = await questionOf(flags.operands, textOf(flags, "image"));
    return withRelay(flags, async (endpoint, firstChoice) => {
      const model = textOf(flags, "model") ?? (await firstChoice());
      const isJson = flags.own["json"] === true;
      const show = stdout().isTTY ? printableText : (text: string) => text;
      const write = isJson ? () => {} : (text: string) => void stdout().write(show(text));
      const answer = await answerTo(endpoint, question, { model, effort: textOf(flags, "effort") }, write);
      end(answer, isJson);
      return 0;
    });
  },
});

function end({ model, text, usage }: Answer, isJson: boolean): void {
  if (isJson) printJson({ model, answer: text, usage });
  else if (!text.endsWith("\n")) stdout().write("\n");
}

type Act = (endpoint: Endpoint, firstChoice: () => Promise<string>) => Promise<number>;

/** The relay that listens where these settings say, else one for this question: on loopback, with a key of its own. */
async function withRelay(flags: ParsedFlags, act: Act): Promise<number> {
  const { settings } = await loadSettings(flags.settings, process.env, JUDGMENT);
  const url = ownUrl(settings);
  // Without a key of its own it cannot come in where clients have theirs.
  const isShutOut = settings.apiKey === undefined && existsSync(keysPath(stateFolder(process.env, settings)));
  if (isFindable(addressOf(settings)) && !isShutOut && (await relayAt(url))) {
    const endpoint = { url, apiKey: settings.apiKey, ...ownTls(settings) };
    return act(endpoint, () => firstModel(endpoint));
  }
  const apiKey = randomBytes(24).toString("base64url");
  const own = { ...PLAIN, port: 0, apiKey };
  const firstByteTimeout = Math.min(FIRST_BYTE_SECONDS, settings.firstByteTimeout);
  const quiet = flags.settings.logLevel === undefined ? { logLevel: "silent" as const } : {};
  const services = await openServices(flags.settings, process.env, {
    judgment: JUDGMENT,
    settings: { ...own, ...quiet, firstByteTimeout },
  });
  // A login that does not work is reported as that, before any request.
  await services.credentials.current();
  const relay = listen(services, { apiKeyName: "ask" });
  try {
    const firstChoice = async () => modelsOf(await services.upstream.catalogue.current(), undefined).model;
    return await act({ url: relay.url, apiKey }, firstChoice);
  } finally {
    await relay.stop();
    await services.credentials.settle();
  }
}

function textOf({ own }: ParsedFlags, flag: string): string | undefined {
  return typeof own[flag] === "string" ? own[flag] : undefined;
}
