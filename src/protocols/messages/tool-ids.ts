import { wireCallId } from "../../codex/request/tools/wire-names.ts";

/*
 * Ids of this API begin with `toolu_`, those of the backend with `call_`. The prefix is exchanged both ways, so that no
 * table has to be kept and a conversation that began elsewhere can go on here.
 */

/** The backend's call id as clients see it. */
export function toToolUseId(callId: string): string {
  return callId.startsWith("call_") ? `toolu_${callId.slice("call_".length)}` : callId;
}

/** A client's tool use id as the backend takes it. */
export function toCallId(toolUseId: string): string {
  return wireCallId(toolUseId.startsWith("toolu_") ? `call_${toolUseId.slice("toolu_".length)}` : toolUseId);
}
