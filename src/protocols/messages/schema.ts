import { z } from "zod";
import { MOST_STOP_SEQUENCES } from "../../codex/output/stop.ts";
import { RelayError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { assertFits, messageList, type Loose } from "../gate.ts";
import { fault, missing, unsupported } from "./refuse.ts";

const nullishNumber = z.number().nullish();

/**
 * What the relay itself reads of a request. Betas add keys all the time; those that nobody reads are named to the client.
 * Content and tools are looked at one by one in their own files, where the path of a fault is known.
 */
const Gate = z.object({
  model: z.string(),
  messages: messageList,
  system: z.union([z.string(), z.array(z.object({}))]).nullish(),
  stream: z.boolean().nullish(),
  max_tokens: z.number().int().min(0).nullish(),
  temperature: nullishNumber,
  top_p: nullishNumber,
  top_k: nullishNumber,
  stop_sequences: z.array(z.string()).max(MOST_STOP_SEQUENCES).nullish(),
  tools: z.array(z.object({})).nullish(),
  tool_choice: z.object({ type: z.string() }).nullish(),
  thinking: z.object({ type: z.string(), budget_tokens: nullishNumber, display: z.string().nullish() }).nullish(),
  output_config: z.object({ effort: z.string().nullish(), format: z.object({ type: z.string() }).nullish() }).nullish(),
  output_format: z.object({ type: z.string() }).nullish(),
  mcp_servers: z.array(z.unknown()).nullish(),
  speed: z.string().nullish(),
});

export type MessagesRequest = Loose<z.infer<typeof Gate>>;

/** One message of a request; only its role is known to be there. */
export type ClientMessage = MessagesRequest["messages"][number];

/** Body from outside → request. Throws RelayError with the path of the first field at fault. */
export function parseMessagesRequest(body: unknown): MessagesRequest {
  if (!isObject(body)) throw new RelayError("invalid_request", "The request body must be a JSON object.");
  for (const name of ["model", "messages"] as const) {
    if (body[name] === undefined || body[name] === null || body[name] === "") throw missing(name);
  }
  assertFits(Gate, body, ([issue]) => fault((issue?.path ?? []).join("."), reasonOf(issue?.message)));
  if (body.messages.length === 0) {
    throw new RelayError("empty_array", "messages: at least one message is required.", { param: "messages" });
  }
  if ((body.mcp_servers ?? []).length > 0) {
    throw unsupported("mcp_servers", "MCP servers are called by Anthropic's own service, which this is not");
  }
  const { container } = body;
  if (isObject(container) && Array.isArray(container["skills"]) && container["skills"].length > 0) {
    throw unsupported("container.skills", "skills run on Anthropic's own machines");
  }
  if (body["thread"] !== undefined && body["thread"] !== null) throw noThreads();
  return body;
}

/** By this code the SDK knows to send the whole conversation instead, and does so by itself. */
function noThreads(): RelayError {
  return new RelayError("unsupported_parameter", "thread: conversations are not kept here; send all messages.", {
    param: "thread",
    wireCode: "thread_unsupported_request",
  });
}

function reasonOf(message: string | undefined): string {
  return (message ?? "not accepted").replace(/^Invalid input: /, "");
}
