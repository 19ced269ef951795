import { defineCommand } from "citty";
import { publishedModels, type ModelCatalogue, type ModelInfo } from "../../codex/models.ts";
import { toRelayError, type ErrorCode } from "../../lib/errors.ts";
import { offlineCatalogue } from "../../upstream/catalogue.ts";
import { BACKEND_NEEDS, BACKEND_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { oldModelsNote } from "../old-models.ts";
import { print, printJson, say } from "../output.ts";
import { openServices, type Services } from "../services.ts";
import { padded, widestOf } from "../wrap.ts";

const OWN: Readonly<Record<string, OwnFlag>> = { json: { help: "print JSON" } };

export const models = defineCommand({
  meta: { name: "models", description: "List the models of the account." },
  args: citty(OWN, [...BACKEND_SETTINGS, "models"]),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const services = await openServices(flags.settings, process.env, { judgment: { needs: BACKEND_NEEDS } });
    const catalogue = await listOf(services);
    const rows = publishedModels(catalogue).map((id) =>
      rowOf(
        id,
        catalogue.models.find((model) => model.slug === id),
      ),
    );
    if (flags.own["json"]) {
      printJson({ origin: catalogue.origin, models: rows });
      return 0;
    }
    const note = oldModelsNote(catalogue);
    if (note !== undefined) say(note);
    const widths = [Math.max(5, widestOf(rows.map((row) => row.id))) + 2, 10, 34];
    const line = (...cells: string[]) =>
      print(
        cells
          .map((cell, index) => padded(cell, widths[index] ?? 0))
          .join("")
          .trimEnd(),
      );
    line("model", "context", "efforts (* default)", "tiers");
    for (const row of rows) {
      const efforts = row.efforts.map((effort) => (effort === row.default_effort ? `${effort}*` : effort));
      line(
        row.id,
        row.context === null ? "" : `${Math.round(row.context / 1000)}k`,
        efforts.join(" "),
        row.tiers.join(" "),
      );
    }
    return 0;
  },
});

/** Faults that another list bridges; any other fault of the login is told instead of a list that would be a guess. */
const PASSING = new Set<ErrorCode>(["login_unwritable", "upstream_unreachable", "upstream_timeout"]);

/** The account's models; where the login cannot be renewed now, the list that serves meanwhile. */
async function listOf({ upstream, upstreamOptions, credentials }: Services): Promise<ModelCatalogue> {
  try {
    await credentials.current();
  } catch (thrown) {
    const error = toRelayError(thrown);
    if (!PASSING.has(error.code)) throw error;
    const list = await offlineCatalogue(upstreamOptions.modelsCacheFile, upstreamOptions.models);
    return { ...list, reason: error.explanation };
  }
  return upstream.catalogue.current();
}

function rowOf(id: string, model: ModelInfo | undefined) {
  return {
    id,
    context: model?.context_window ?? null,
    efforts: (model?.supported_reasoning_levels ?? []).map((level) => level.effort),
    default_effort: model?.default_reasoning_level ?? null,
    tiers: (model?.service_tiers ?? []).map((tier) => tier.id),
  };
}
