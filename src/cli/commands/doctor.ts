import { defineCommand } from "citty";
import { RelayError } from "../../lib/errors.ts";
import { SILENT_LOG } from "../../lib/log.ts";
import { examine, ownRelay, servicesOrFinding } from "../doctor/examine.ts";
import { closing, lines, skip, type Finding } from "../doctor/finding.ts";
import { liveFindings } from "../doctor/live.ts";
import { unreadProxyVariables } from "../doctor/network.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { hasColors, printJson, printStyled, printText } from "../output.ts";
import { relayUrl } from "../relay-url.ts";
import { openServices, type Services } from "../services.ts";
import { fitted } from "../wrap.ts";
import { stdout } from "../streams.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  json: { help: "print JSON" },
  live: {
    help: "also send one tiny request each to chat, responses (both streamed too), messages, completions and Ollama; costs a little of the plan",
  },
  url: { value: "URL", help: "with --live: try a relay that is already running, with its --api-key" },
};

export const doctor = defineCommand({
  meta: { name: "doctor", description: "Check login, network, backend and port, and say how to fix what is wrong." },
  args: citty(OWN),
  async run({ rawArgs }) {
    const { settings, own } = parseFlags(rawArgs, OWN);
    const isLive = own["live"] === true;
    const url = urlOf(own["url"], isLive);
    const report = reporter(own["json"] === true);
    const unread = unreadProxyVariables(process.env);
    const services = await servicesOrFinding(() =>
      openServices(settings, process.env, { log: SILENT_LOG, judgment: { needs: [], toleratesFile: true } }),
    );
    if (!("log" in services)) report.add(services);
    else if (url !== undefined) await report.addAll(liveFindings({ url, apiKey: services.settings.apiKey }));
    else {
      await report.addAll(examine(services, process.env, unread));
      if (isLive) await report.addAll(report.hasWorkingLogin() ? tryOwnRelay(services) : noLive());
    }
    return report.end();
  },
});

async function* tryOwnRelay(services: Services): AsyncGenerator<Finding, void, undefined> {
  const relay = ownRelay(services);
  try {
    for await (const finding of liveFindings({ url: relay.url, apiKey: services.settings.apiKey })) {
      yield { ...finding, id: `live ${finding.id}` };
    }
  } finally {
    await relay.stop();
  }
}

/** Every endpoint would only say the same again. */
async function* noLive(): AsyncGenerator<Finding, void, undefined> {
  yield { id: "live", ...skip("needs a login and a backend that work") };
}

function reporter(isJson: boolean) {
  const all: Finding[] = [];
  const isColored = hasColors(stdout());
  const add = (finding: Finding) => {
    all.push(finding);
    if (!isJson) printStyled(fitted(lines(finding, isColored), stdout()));
  };
  return {
    add,
    async addAll(findings: AsyncIterable<Finding>): Promise<void> {
      for await (const finding of findings) add(finding);
    },
    hasWorkingLogin: () => all.every(({ id, status }) => !NEEDED.includes(id) || status !== "fail"),
    end(): number {
      const isOk = all.every(({ status }) => status !== "fail");
      if (isJson) printJson({ ok: isOk, checks: all });
      else printText(`\n${closing(all)}`);
      return isOk ? 0 : 1;
    },
  };
}

/** Without these no endpoint answers. */
const NEEDED = ["login", "token", "backend"];

function urlOf(text: string | true | undefined, isLive: boolean): string | undefined {
  if (text === undefined) return undefined;
  if (!isLive) {
    throw new RelayError("usage", "--url belongs to --live, which costs a little of the plan.", {
      hint: "Add --live to try that relay.",
    });
  }
  return relayUrl(text);
}
