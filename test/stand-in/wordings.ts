import { refuse, refuseParam, type Refusal } from "./refusal.ts";

type Reword = (parts: readonly string[]) => Refusal;

export const REGION = "Workspace is not authorized in this region.";

/** Other sentences and envelopes for the same refusal, beside the usual one. */
const OTHERS: readonly (readonly [RegExp, readonly Reword[]])[] = [
  [
    /^Unsupported parameter: (.+)$/,
    [
      ([name = ""]) => refuseParam(`Unknown parameter: '${name}'.`, name, "unknown_parameter"),
      ([name = ""]) => refuseParam(`Unsupported parameter: '${name}'.`, name, "unsupported_parameter"),
    ],
  ],
  [
    /^Unknown parameter: '(.+)'\.$/,
    [
      ([path = ""]) => refuse(`Unsupported parameter: ${path}`),
      ([path = ""]) => refuseParam(`Unknown parameter: '${path}'.`, null),
    ],
  ],
  [
    /^Instructions are required$/,
    [() => refuse("Instructions are not valid"), () => refuseParam("Instructions are required", "instructions")],
  ],
  [
    /^Unsupported value: '(.+)' is not supported with the '(.+)' model\. Supported values are: (.+)\.$/,
    [
      ([value = "", model = "", list = ""]) =>
        refuse(
          `Unsupported value: '${value}' is not supported with the '${model}' model. Supported values are: ${list}`,
        ),
      ([value = "", , list = ""]) =>
        refuseParam(`Invalid value: '${value}'. Supported values are: ${list}.`, "reasoning.effort", "invalid_value"),
    ],
  ],
  [
    /^Unsupported service_tier: (.+)$/,
    [
      ([tier = ""]) => refuseParam(`Unsupported service_tier: ${tier}`, "service_tier", "unsupported_value"),
      ([tier = ""]) => refuse(`Unsupported service_tier: '${tier}'`),
    ],
  ],
  [
    /^Model not found (.+)$/,
    [
      ([slug = ""]) => refuseParam(`Model not found ${slug}`, "model", "model_not_found", 404),
      ([slug = ""]) =>
        refuseParam(`The model '${slug}' does not exist or you do not have access to it.`, null, "model_not_found"),
    ],
  ],
  [
    /^Workspace is not authorized in this region\.$/,
    [
      () => ({ ...refuse(REGION, 401), body: { message: REGION } }),
      () => ({ ...refuse(REGION, 401), body: { error: { message: REGION, type: null, code: null, param: null } } }),
    ],
  ],
  [
    /^Encrypted content item_id did not match the target item id$/,
    [
      () => refuseParam("Encrypted content item_id did not match the target item id.", "input", "invalid_value"),
      () => refuseParam("Encrypted content item_id did not match the target item id", null),
    ],
  ],
  [
    /^Tool choice '(.+)' not found in 'tools' parameter\.$/,
    [
      ([name = ""]) => refuse(`Tool choice '${name}' not found in 'tools' parameter.`),
      ([name = ""]) => refuseParam(`Tool choice '${name}' not found in 'tools'`, "tool_choice"),
    ],
  ],
  [
    /^The encrypted content (.+) could not be verified\.$/,
    [
      () => refuse("Unsupported content type"),
      ([id = ""]) =>
        refuseParam(`Item '${id}' of type 'reasoning' was provided without its required following item.`, "input"),
    ],
  ],
];

/** The refusal in another wording; the usual one where there is no such wording. */
export function reworded(refusal: Refusal, wording: number): Refusal {
  if (wording === 0) return refusal;
  for (const [pattern, others] of OTHERS) {
    const found = pattern.exec(refusal.detail);
    if (found) return others[(wording - 1) % others.length]?.(found.slice(1)) ?? refusal;
  }
  return refusal;
}
