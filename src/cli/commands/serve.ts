import { defineCommand } from "citty";
import { toRelayError } from "../../lib/errors.ts";
import { addressLines } from "../call-relay.ts";
import { citty, parseFlags } from "../flags.ts";
import type { RunningRelay } from "../../server/serve.ts";
import { keyNeed } from "../keys/key-need.ts";
import { oldModelsNote } from "../old-models.ts";
import { say } from "../output.ts";
import { reloader } from "../reload.ts";
import { runUntilStopped, stopTimes } from "../shutdown.ts";
import { listenOrExplain, openKeys, openServices, openTelemetry, type ClientKeys, type Services } from "../services.ts";

const NEXT = 'Next: `plansocket setup` connects a client; `plansocket ask "hello"` tries it.';

export const serve = defineCommand({
  meta: { name: "serve", description: "Run the relay in the foreground." },
  args: () => citty(),
  async run({ rawArgs }) {
    const services = await openServices(parseFlags(rawArgs).settings, process.env);
    await services.store?.connection.open();
    const keys = openKeys(services);
    await keys.looked;
    const telemetry = await openTelemetry(services, process.env);
    const relay = await listenOrExplain(services, keys, { telemetry });
    await services.credentials.allowUnsaved();
    const stopped = runUntilStopped(relay, services.log, {
      ...stopTimes(services.settings),
      reload: reloader(services, relay),
      async settle() {
        await services.credentials.settle();
        services.store?.connection.close();
        await telemetry?.close();
      },
    });
    const hasLogin = await introduce(services, keys, relay);
    say(hasLogin ? NEXT : "Next: `plansocket login` in another terminal; the relay needs no restart.");
    return stopped;
  },
});

/** What its owner wants to know first: where it is, who may use it, whose plan it spends. False where there is no login. */
async function introduce(services: Services, { ring }: ClientKeys, relay: RunningRelay): Promise<boolean> {
  const { url } = relay;
  const { settings, origins } = services;
  say(`plansocket listens on ${url}`);
  for (const other of relay.otherUrls) say(`  also on   ${other}`);
  for (const line of addressLines(url)) say(line);
  say(`  API key   ${keyNeed(settings.apiKey, ring.isInUse)}`);
  if (origins.apiKey === "--api-key") {
    say("            a key on the command line can be seen by other users; PLANSOCKET_API_KEY cannot");
  }
  try {
    const { kind, email, plan, source } = await services.credentials.describe();
    const who = kind === "api-key" ? "OpenAI API key" : [email, plan && `plan ${plan}`].filter(Boolean).join(", ");
    say(`  login     ${who || "ChatGPT"} (${source})`);
    if (kind === "api-key") return true;
    const { publishedModels } = await import("../../codex/models.ts");
    const catalogue = await services.upstream.catalogue.current();
    say(`  models    ${publishedModels(catalogue).join(", ")}`);
    const note = oldModelsNote(catalogue);
    if (note !== undefined) say(`            ${note}`);
    return true;
  } catch (thrown) {
    const error = toRelayError(thrown);
    say(`  login     ${error.message}${error.hint === undefined ? "" : ` ${error.hint}`}`);
    return false;
  }
}
