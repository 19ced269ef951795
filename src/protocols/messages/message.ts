import type { MessageEnd } from "./reply.ts";
import { messageUsage, toMessagesUsage } from "./usage.ts";

/** A message as it stands: begun, or with its content and end. `inputTokens` is an estimate until the end. */
export function messageOf(
  id: string,
  model: string,
  content: readonly unknown[],
  end: MessageEnd | undefined,
  inputTokens = 0,
) {
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content,
    ...endOf(end),
    diagnostics: null,
    usage: messageUsage(end?.usage ?? { ...toMessagesUsage(undefined), input_tokens: inputTokens }, end?.serviceTier),
  };
}

/** Why a message ended; all null while it has not. */
export function endOf(end: MessageEnd | undefined) {
  return {
    stop_reason: end?.stopReason ?? null,
    stop_sequence: end?.stopSequence ?? null,
    stop_details: end?.stopReason === "refusal" ? { type: "refusal", category: null, explanation: null } : null,
    container: null,
  };
}
