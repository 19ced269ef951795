import { defineCommand } from "citty";
import { loadSettings } from "../../config/load.ts";
import { stateFolder } from "../../config/paths.ts";
import type { SettingName } from "../../config/settings.ts";
import { RelayError } from "../../lib/errors.ts";
import { SILENT_LOG } from "../../lib/log.ts";
import { BACKEND_SETTINGS, citty, parseFlags, type OwnFlag, type ParsedFlags } from "../flags.ts";
import { warnOf } from "../output.ts";
import { openStore, STORE_SETTINGS } from "../store.ts";

const WATCH_SECONDS = 60;
const LEAST_SECONDS = 5;

const OWN: Readonly<Record<string, OwnFlag>> = {
  json: { help: "print JSON" },
  watch: { help: "go on showing it until stopped" },
  every: { value: "SECONDS", help: `pause between two looks with --watch (default: ${WATCH_SECONDS})` },
  by: { value: "WHAT", help: "what relays here have counted, by day, hour, model, client, session or key" },
  since: { value: "WHEN", help: "with --by: from here on, as in 12h, 7d, 4w, today, 2026-11-03 (default: 30 days)" },
  until: { value: "WHEN", help: "with --by: up to here, that day included (default: now)" },
  csv: { help: "with --by: print CSV" },
};

const COUNTED: readonly SettingName[] = ["stateDir", "prices", "ledgerDays", ...STORE_SETTINGS];

export const usage = defineCommand({
  meta: {
    name: "usage",
    description:
      "Show how much of the plan is used, and when it resets; with --by, what relays here have counted, without asking anybody.",
  },
  args: citty(OWN, BACKEND_SETTINGS),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    if (flags.own["by"] !== undefined) return showCounted(flags);
    const stray = ["since", "until", "csv"].find((name) => flags.own[name] !== undefined);
    if (stray !== undefined) {
      throw new RelayError("usage", `--${stray} needs --by.`, { hint: "For example: `plansocket usage --by day`." });
    }
    const isWatching = flags.own["watch"] === true || flags.own["every"] !== undefined;
    const everyMs = pauseOf(flags.own["every"]);
    const { usagePlan } = await import("../usage/plan.ts");
    return usagePlan(flags, isWatching ? everyMs : undefined);
  },
});

/** What the ledger holds. Needs no login, no network and no relay that runs. */
async function showCounted(flags: ParsedFlags): Promise<number> {
  const { settings, warnings } = await loadSettings(flags.settings, process.env, {
    needs: COUNTED,
    toleratesFile: true,
  });
  warnOf(warnings);
  const { usageBy } = await import("../usage/by.ts");
  const textOf = (name: string) => {
    const value = flags.own[name];
    return typeof value === "string" ? value : undefined;
  };
  const asked = {
    by: textOf("by") ?? "",
    since: textOf("since"),
    until: textOf("until"),
    isCsv: flags.own["csv"] === true,
    isJson: flags.own["json"] === true,
  };
  const store = await openStore(settings, process.env, SILENT_LOG);
  const place = store?.ledger(settings.ledgerDays) ?? stateFolder(process.env, settings);
  return usageBy(asked, place, settings.prices, Date.now());
}

function pauseOf(text: string | true | undefined): number {
  const seconds = Number(text ?? WATCH_SECONDS);
  if (Number.isFinite(seconds) && seconds >= LEAST_SECONDS && seconds <= 86_400) return seconds * 1000;
  throw new RelayError("usage", `Bad value '${String(text).slice(0, 40)}' for --every.`, {
    hint: `It is a number of seconds, at least ${LEAST_SECONDS}.`,
  });
}
