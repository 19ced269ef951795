/**
 * `bun test/e2e/clients.ts [NAME …] [--install] [--transport LIST] [--record]`: real command-line clients do a small
 * tool task through the relay against the strict stand-in backend, judged by the file that their own tool wrote and by
 * what the backend saw. Each is pointed at the relay in all ways that the relay offers: by `setup`, in an empty home; by
 * `run`; and by `run --demo` with the model that it gets there without a word; and the relay asks the backend over HTTP
 * and over a WebSocket. Clients that are not on the PATH are skipped; `--install` gets the newest of each first. Exits
 * with 1 when a run fails that nothing excuses, with 2 when asked for what there is not.
 */
import { isObject } from "../../src/lib/json.ts";
import { attempt } from "../clients/attempt.ts";
import type { Client, Task, Way } from "../clients/client.ts";
import { found, installed } from "../clients/install.ts";
import { readOptions, USAGE } from "../clients/options.ts";
import { columnsOf, excuseOf, findingsOf, relayFailures, titleOf, type Result } from "../clients/report.ts";
import type { StandIn } from "../stand-in/backend.ts";
import { record, tableLines } from "../support/compatibility.ts";
import { sharedPrefixes } from "../support/prefix.ts";

const MODELS = ["gpt-5.5", "gpt-6.1-sol"];
const WAYS: readonly Way[] = ["setup", "run", "run --demo"];

const { clients, transports, isInstalling, isRecording } = optionsOrExit();
const programs = new Map(
  Map.groupBy(clients, ({ name }) => name)
    .entries()
    .flatMap(([name, [client]]) => (client ? [[name, isInstalling ? installed(client) : found(client)] as const] : [])),
);
const versions = new Map([...programs].map(([name, program]) => [name, program?.version ?? ""]));
/** Of each run, its longest conversation with the backend, in requests as the backend read them. */
const conversations: { readonly title: string; readonly bodies: readonly unknown[] }[] = [];
const results: Result[] = [];
for (const client of clients) {
  const program = programs.get(client.name);
  if (!program) {
    console.log(`skip  ${client.name}: not installed`);
    continue;
  }
  for (const task of tasksOf(client)) {
    const title = titleOf(client, task);
    const { problem, backend } = await attempt(client, program, task);
    if (backend) noteConversation(title, backend);
    const result = { client, task, problem };
    results.push(result);
    const outcome = problem === undefined ? "ok   " : excuseOf(result) === undefined ? "FAIL " : "its  ";
    console.log(`${outcome} ${title}${problem === undefined ? "" : `: ${problem}`}`);
  }
}
printPrefixes();
const findings = findingsOf(results, versions, transports);
console.log(tableLines(columnsOf(transports), findings).join("\n"));
if (isRecording) record("clients", columnsOf(transports), findings, new Date());
process.exit(relayFailures(results).length > 0 ? 1 : 0);

function optionsOrExit() {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}

function tasksOf({ ways = WAYS }: Client): Task[] {
  return transports.flatMap((transport) =>
    ways.flatMap((way) => (way === "run --demo" ? [""] : MODELS).map((model) => ({ way, model, transport }))),
  );
}

/** Small jobs of a client's own, as titles, are conversations of their own. */
function noteConversation(title: string, backend: StandIn): void {
  const byId = Map.groupBy(
    backend.requests.filter((request) => request.path.endsWith("/responses") && isObject(request.body)),
    ({ body }) => (isObject(body) ? body["prompt_cache_key"] : undefined),
  );
  const [longest] = [...byId.values()].toSorted((a, b) => b.length - a.length);
  if (longest && longest.length > 1) conversations.push({ title, bodies: longest.map(({ body }) => body) });
}

/** How much of each request the backend had read with the one before. */
function printPrefixes(): void {
  if (conversations.length === 0) return;
  console.log("\nPrompt kept from turn to turn, in bytes and in percent of the shorter one:");
  for (const { title, bodies } of conversations) {
    const turns = sharedPrefixes(bodies).map(({ bytes, percent }) => `${bytes} (${percent.toFixed(1)} %)`);
    console.log(`  ${title.padEnd(60)} ${turns.join(", ")}`);
  }
  console.log("");
}
