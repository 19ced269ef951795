import { z } from "zod";
import { clampEffort } from "../../codex/models.ts";
import { resolveModel } from "../../codex/model-names.ts";
import { codexRequest, inputItems } from "../../codex/request/build.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { assertFits, type Loose } from "../gate.ts";
import { firstIssue } from "../issue.ts";
import type { Context, Translation } from "../protocol.ts";
import { missing, tooManyStops } from "../refuse.ts";
import { clientPathOf } from "../client-path.ts";
import { unreadFields } from "../unread-fields.ts";

const Request = z.object({
  model: z.string().min(1),
  prompt: z.unknown(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  n: z.number().nullish(),
  best_of: z.number().nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
});
export type CompletionRequest = Loose<z.infer<typeof Request>>;

/** Fields that are honoured or refused by name. All others are named. */
const READ = new Set([
  "best_of",
  "echo",
  "max_tokens",
  "model",
  "n",
  "prompt",
  "stop",
  "stream",
  "stream_options",
  "suffix",
]);

/** Throws RelayError with the field at fault. */
export function parseRequest(body: unknown): CompletionRequest {
  if (!isObject(body)) throw new RelayError("invalid_request", "The request body must be a JSON object.");
  for (const name of ["model", "prompt"] as const) {
    if (body[name] === undefined || body[name] === null || body[name] === "") throw missing(name);
  }
  assertFits(Request, body, (issues) => firstIssue(issues, body));
  return refuseOthers(body);
}

/** One prompt, one answer: everything else would have to be made up. */
function refuseOthers(request: CompletionRequest): CompletionRequest {
  if (promptOf(request) === undefined) {
    throw new RelayError(
      "unsupported_value",
      "'prompt' must be one text; several prompts and tokens are not supported.",
      {
        param: "prompt",
      },
    );
  }
  const stops = tooManyStops(request.stop);
  if (stops) throw stops;
  const refused = [
    ["n", (request.n ?? 1) !== 1],
    ["best_of", (request.best_of ?? 1) !== 1],
    ["echo", request.echo === true],
    ["suffix", Boolean(request.suffix)],
  ] as const;
  for (const [param, isRefused] of refused) {
    if (isRefused)
      throw new RelayError("unsupported_parameter", `'${param}' is not supported by the Codex backend.`, { param });
  }
  return request;
}

function promptOf({ prompt }: CompletionRequest): string | undefined {
  const only: unknown = Array.isArray(prompt) && prompt.length === 1 ? prompt[0] : prompt;
  return typeof only === "string" ? only : undefined;
}

/** The client's stop sequences; the backend has none, so the relay cuts the text itself. */
export function stopSequences({ stop }: CompletionRequest): string[] {
  return [stop ?? []].flat().filter((sequence) => sequence !== "");
}

/** Client request → backend body. */
export function toCodex(request: CompletionRequest, context: Context): Translation {
  const model = resolveModel(context, request.model);
  const text = promptOf(request) ?? "";
  const effort = model.effort === undefined ? undefined : clampEffort(model.effort, model.info);
  const body = codexRequest({
    model: model.slug,
    instructions: context.defaultInstructions,
    input: inputItems(text),
    effort,
    wantsSummary: false,
    serviceTier: model.serviceTier,
  });
  const dropped = [
    ...unreadFields(request, READ),
    ...unreadFields(request.stream_options ?? {}, new Set(["include_usage"])).map((name) => `stream_options.${name}`),
  ];
  const changed = effort === model.effort ? [] : ["reasoning_effort"];
  if (stopSequences(request).length > 0) changed.push("stop");
  if ((request["max_tokens"] ?? null) !== null) changed.push("max_tokens");
  return { body, dropped, changed, clientPath: clientPathOf({ input: () => "prompt", fields: { input: "prompt" } }) };
}
