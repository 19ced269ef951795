import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ResponseAssembler } from "../../src/codex/output/assemble.ts";
import { Upload } from "../../src/codex/wire/endpoint-call.ts";
import { failureOf, httpFailure, truncated } from "../../src/codex/wire/failure.ts";
import { RelayError } from "../../src/lib/errors.ts";
import { isObject, type JsonObject } from "../../src/lib/json.ts";
import type { Answer, Exchange, ExchangeProtocol, Step } from "../../src/protocols/exchange.ts";
import { EXCHANGES } from "../../src/protocols/index.ts";
import type { Context } from "../../src/protocols/protocol.ts";
import { contextOf, eventsOf } from "./cases.ts";

const EXCHANGE_CASES = join(import.meta.dir, "../fixtures/exchanges");

/** What the backend answers to one step: JSON, a refusal, or (true) the tape beside it. */
interface Reply {
  readonly json?: JsonObject;
  readonly refusal?: { readonly status: number; readonly body: unknown };
  readonly tape?: true;
}

/** One request, and how the backend answers what it leads to. */
export interface ExchangeCase {
  readonly name: string;
  readonly protocol: ExchangeProtocol;
  readonly route: string;
  readonly request: unknown;
  readonly replies: readonly Reply[];
  readonly tape: Uint8Array;
  readonly path: (suffix: string) => string;
}

const SPOKEN = await Promise.all(
  EXCHANGES.map(async (dialect) => ({ route: dialect.paths[0] ?? "", protocol: await dialect.load() })),
);

export function loadExchangeCases(): ExchangeCase[] {
  return readdirSync(EXCHANGE_CASES)
    .toSorted()
    .flatMap((name) =>
      SPOKEN.flatMap(({ protocol, route }): ExchangeCase[] => {
        const folder = join(EXCHANGE_CASES, name);
        const request = join(folder, `${protocol.name}.request.json`);
        if (!existsSync(request)) return [];
        const replies = join(folder, "upstream.json");
        const tape = join(folder, "upstream.sse");
        return [
          {
            name: `${name} (${protocol.name})`,
            protocol,
            route,
            request: withFiles(JSON.parse(readFileSync(request, "utf8"))),
            replies: existsSync(replies) ? (JSON.parse(readFileSync(replies, "utf8")) as Reply[]) : [],
            tape: existsSync(tape) ? readFileSync(tape) : new Uint8Array(),
            path: (suffix) => join(folder, `${protocol.name}.${suffix}`),
          },
        ];
      }),
    );
}

/** `{"file": name, "type": …, "base64": …}` stands for a file of a form. */
function withFiles(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withFiles);
  if (!isObject(value)) return value;
  if (typeof value["file"] === "string" && typeof value["base64"] === "string") {
    return new Upload(
      value["file"],
      typeof value["type"] === "string" ? value["type"] : "",
      Uint8Array.fromBase64(value["base64"]),
    );
  }
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withFiles(entry)]));
}

/** Everything that was asked, and the answer or the refusal that came of it. */
export interface Played {
  readonly exchange: Exchange;
  readonly steps: readonly Step[];
  readonly answer: Answer | RelayError;
}

/** Plays a dialogue against the case's own replies. Throws what the request itself is refused with. */
export async function played(one: ExchangeCase, context: Context = contextOf({})): Promise<Played> {
  const exchange = one.protocol.read(one.request, context);
  if ("translation" in exchange.way) throw new Error("the case is a stream");
  const steps: Step[] = [];
  try {
    let step = exchange.way.dialogue.next();
    while (!step.done) {
      const reply = one.replies[steps.length];
      steps.push(step.value);
      const answer = await replyTo(reply, one.tape);
      step = answer instanceof RelayError ? exchange.way.dialogue.throw(answer) : exchange.way.dialogue.next(answer);
    }
    return { exchange, steps, answer: step.value };
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    return { exchange, steps, answer: error };
  }
}

async function replyTo(reply: Reply | undefined, tape: Uint8Array): Promise<JsonObject | RelayError> {
  if (reply?.json) return reply.json;
  if (reply?.refusal) {
    const { status, body } = reply.refusal;
    const headers = new Headers({ "content-type": "application/json" });
    return httpFailure({ status, headers, text: JSON.stringify(body) }, 0);
  }
  if (!reply?.tape) throw new Error("the case has no reply for this step");
  const accumulator = new ResponseAssembler();
  for (const event of await eventsOf(tape)) {
    const failure = failureOf(event, 0);
    if (failure) return failure;
    accumulator.onEvent(event);
  }
  return accumulator.toResponse() ?? truncated();
}
