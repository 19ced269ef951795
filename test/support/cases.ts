import { readdirSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import bundled from "../../src/codex/bundled-models.json" with { type: "json" };
import type { ModelCatalogue } from "../../src/codex/models.ts";
import { ReasoningStore } from "../../src/codex/reasoning-store.ts";
import { ResponseStore } from "../../src/codex/response-store.ts";
import type { WireEvent } from "../../src/codex/wire/event.ts";
import { RelayError } from "../../src/lib/errors.ts";
import { DIALECTS } from "../../src/protocols/index.ts";
import type {
  Context,
  Frame,
  ModelRequest,
  Protocol,
  ReasoningMode,
  Translation,
} from "../../src/protocols/protocol.ts";
import { frameFormat } from "../../src/server/http/frames.ts";
import { EventReader } from "../../src/upstream/sse.ts";

const SPOKEN = await Promise.all(
  DIALECTS.map(async (dialect) => ({ route: dialect.paths[0] ?? "", protocol: await dialect.load() })),
);

const CASES = join(import.meta.dir, "../fixtures/cases");

/** One conversation, as the backend sent it and as one dialect asked for it. */
export interface Case {
  readonly name: string;
  readonly protocol: Protocol;
  /** Where a relay takes such requests. */
  readonly route: string;
  readonly request: unknown;
  /** Settings of the relay that the case is about: `relay.json`, where there is one. */
  readonly settings: { readonly reasoning?: ReasoningMode; readonly instructions?: string };
  readonly tape: Uint8Array;
  /** Path of one of its files. */
  readonly path: (suffix: string) => string;
}

/** Every case in every dialect that has a request for it. */
export function loadCases(): Case[] {
  return readdirSync(CASES)
    .toSorted()
    .flatMap((name) =>
      SPOKEN.flatMap(({ protocol, route }): Case[] => {
        const folder = join(CASES, name);
        const request = join(folder, `${protocol.name}.request.json`);
        if (!existsSync(request)) return [];
        const settings = join(folder, "relay.json");
        return [
          {
            name: `${name} (${protocol.name})`,
            protocol,
            route,
            request: JSON.parse(readFileSync(request, "utf8")) as unknown,
            settings: existsSync(settings) ? (JSON.parse(readFileSync(settings, "utf8")) as Case["settings"]) : {},
            tape: readFileSync(join(folder, "upstream.sse")),
            path: (suffix) => join(folder, `${protocol.name}.${suffix}`),
          },
        ];
      }),
    );
}

const MODELS: ModelCatalogue = { origin: "live", models: bundled.models };

/** The same for every run, so that expected files stay the same. */
export function contextOf(settings: Case["settings"], memory = new ReasoningStore()): Context {
  return {
    id: "0123456789abcdef",
    now: 1_700_000_000_000,
    elapsedMs: () => 0,
    reasoning: settings.reasoning ?? "both",
    defaultInstructions: settings.instructions ?? "",
    models: MODELS,
    modelAliases: {},
    memory,
    responses: new ResponseStore(),
    reserve: () => {},
    clientId: "",
    // Near enough, and the same for every run.
    countTokens: (text) => Math.ceil(text.length / 4),
    isCodexClient: false,
  };
}

/** A tape as network reads, cut at the given places. */
function cut(tape: Uint8Array, places: readonly number[]): ReadableStream<Uint8Array> {
  const ends = [...new Set(places.map((place) => place % tape.length))].toSorted((a, b) => a - b);
  return new ReadableStream({
    start(controller) {
      let start = 0;
      for (const end of [...ends, tape.length]) {
        if (end > start) controller.enqueue(tape.slice(start, end));
        start = Math.max(start, end);
      }
      controller.close();
    },
  });
}

export async function eventsOf(tape: Uint8Array, places: readonly number[] = []): Promise<WireEvent[]> {
  const events: WireEvent[] = [];
  const batches = new EventReader(cut(tape, places));
  for (let batch = await batches.next(); batch; batch = await batches.next()) events.push(...batch);
  return events;
}

/** What a client gets: frames, or a refusal when nothing was sent before it failed. */
export type Streamed =
  | { readonly frames: string; readonly refusal?: undefined }
  | { readonly refusal: RelayError; readonly frames?: undefined };

export function streamed({ protocol, request, settings }: Case, events: readonly WireEvent[]): Streamed {
  const format = frameFormat(protocol);
  let frames = "";
  const reply = asked(protocol, request, contextOf(settings)).stream((frame) => {
    frames += format.write(frame);
  });
  try {
    for (const event of events) {
      reply.onEvent(event);
      if (reply.isDone) return { frames };
    }
    reply.onEnd();
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    if (frames === "") return { refusal: error };
    reply.onFailure(error, contextOf(settings).id);
  }
  return { frames };
}

/** A request as its dialect reads it; for those alone that ask a model. */
export function asked(protocol: Protocol, body: unknown, context: Context = contextOf({})): ModelRequest {
  const request = protocol.read(body, context);
  if ("reply" in request) throw new Error("the request asks no model");
  return request;
}

/** The same in the backend's language. */
export function translated(protocol: Protocol, body: unknown, context?: Context): Translation {
  return asked(protocol, body, context).translation;
}

/** A stream that writes down what it sends, as its dialect's clients would see it. */
export function opened(protocol: Protocol, body: unknown, context?: Context) {
  const format = frameFormat(protocol);
  const sent: Frame[] = [];
  const stream = asked(protocol, body, context).stream((frame) => sent.push(frame));
  /** The text of what was sent since the last time. */
  const take = () =>
    sent
      .splice(0)
      .map((frame) => format.write(frame))
      .join("");
  return { stream, take };
}

/** The whole reply, or the refusal in its place. */
export function whole({ protocol, request, settings }: Case, events: readonly WireEvent[]): unknown {
  const reply = asked(protocol, request, contextOf(settings)).body();
  try {
    for (const event of events) {
      reply.onEvent(event);
      if (reply.isDone) break;
    }
    return JSON.parse(JSON.stringify(reply.toBody()));
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
}

/** A refusal in the dialect's own words, with its status. */
export function refusalBody(protocol: Protocol, error: RelayError): unknown {
  return { status: protocol.statusOf?.(error) ?? error.status, body: protocol.toError(error, "req_0123456789abcdef") };
}
