import { chat } from "./chat/index.ts";
import type { Protocol } from "./protocol.ts";
import { responses } from "./responses/index.ts";

/** The dialects that the relay speaks. A new one is one folder and one line here. */
export const PROTOCOLS: readonly Protocol[] = [chat, responses] as readonly Protocol[];
