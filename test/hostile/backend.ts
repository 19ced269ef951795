/**
 * The stand-in backend in a process of its own, with a second port that tells it how to behave and says what it has
 * seen. Prints where both are and a login, as one line of JSON.
 */
import { startStandIn } from "../stand-in/backend.ts";
import type { StreamShape } from "../stand-in/stream.ts";
import type { JsonObject } from "../../src/lib/json.ts";

/** How answers go from now on. */
export interface Behaviour {
  /** Each waits after so many events until told to go on; left out, none does. */
  readonly holdAfter?: number;
  /** Its first piece of text comes so many times: answers of any length that nobody has to keep in memory. */
  readonly repeats?: number;
}

/** What has happened so far. */
export interface Seen {
  readonly openStreams: number;
  readonly openSockets: number;
  readonly responses: number;
  /** Requests that broke a rule of the backend. */
  readonly refusals: number;
  readonly eventsMade: number;
}

const backend = startStandIn();
const login = backend.issueLogin();
let behaviour: Behaviour = {};
let gate = Promise.withResolvers<void>();
let eventsMade = 0;

function* asTold(events: Iterable<JsonObject>): Iterable<JsonObject> {
  let repeats = behaviour.repeats ?? 1;
  for (const event of events) {
    const times = event["type"] === "response.output_text.delta" ? repeats : 1;
    if (times !== 1) repeats = 1;
    for (let time = 0; time < times; time += 1) {
      eventsMade += 1;
      yield event;
    }
  }
}

backend.script({
  kind: "answer",
  get shape(): StreamShape {
    return behaviour.holdAfter === undefined ? {} : { pause: { after: behaviour.holdAfter, until: gate.promise } };
  },
  rewrite: asTold,
  times: Number.POSITIVE_INFINITY,
});

const control = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: {
    "/seen": () => {
      const { responses } = backend.counts;
      const seen: Seen = {
        openStreams: backend.openStreams(),
        openSockets: backend.openSockets(),
        responses,
        refusals: backend.refusals.length,
        eventsMade,
      };
      return Response.json(seen);
    },
    "/behave": async (request) => {
      behaviour = (await request.json()) as Behaviour;
      gate = Promise.withResolvers();
      return new Response();
    },
    "/expire": () => {
      backend.expireAccessTokens();
      return new Response();
    },
    "/go": () => {
      gate.resolve();
      return new Response();
    },
  },
});
const { baseUrl, tokenUrl } = backend;
process.stdout.write(`${JSON.stringify({ baseUrl, tokenUrl, control: control.url.origin, ...login })}\n`);
