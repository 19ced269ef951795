import type { Finding } from "../support/compatibility.ts";
import type { Client, Task, Transport } from "./client.ts";

/** A run of a client and what went wrong, if anything. */
export interface Result {
  readonly client: Client;
  readonly task: Task;
  readonly problem: string | undefined;
}

/** Names a run. */
export function titleOf(client: Client, task: Task): string {
  return `${nameOf(client)} ${wayOf(task)}`;
}

function nameOf({ name, remark }: Client): string {
  return remark === undefined ? name : `${name}, ${remark}`;
}

function wayOf({ way, model, transport }: Task): string {
  return `by ${way}${model === "" ? "" : ` with ${model}`} over ${transport}`;
}

/** Why a run failed that the relay is not to blame for. */
export function excuseOf({ client, problem }: Result): string | undefined {
  return client.excuses?.find(({ says }) => says.test(problem ?? ""))?.reason;
}

/** Runs that failed and that nothing excuses. */
export function relayFailures(results: readonly Result[]): Result[] {
  return results.filter((result) => result.problem !== undefined && excuseOf(result) === undefined);
}

export function columnsOf(transports: readonly Transport[]): string[] {
  return ["client", "version", ...transports, "the relay's", "the client's"];
}

/** A row for each client, with the failures behind its numbers. */
export function findingsOf(
  results: readonly Result[],
  versions: ReadonlyMap<string, string>,
  transports: readonly Transport[],
): Finding[] {
  return [...Map.groupBy(results, ({ client }) => client)].map(([client, own]) => {
    const counts = transports.map((transport) => {
      const runs = own.filter(({ task }) => task.transport === transport);
      return `${runs.filter(({ problem }) => problem === undefined).length} / ${runs.length}`;
    });
    const relays = relayFailures(own).length;
    const others = own.filter(({ problem }) => problem !== undefined).length - relays;
    return {
      name: nameOf(client),
      cells: [versions.get(client.name) ?? "", ...counts, String(relays), String(others)],
      remarks: remarksOf(own),
    };
  });
}

/** One for each run that failed; known reasons once. */
function remarksOf(results: readonly Result[]): string[] {
  const failed = results.filter(({ problem }) => problem !== undefined);
  const remarks = failed.map((result) => {
    const excuse = excuseOf(result);
    if (excuse !== undefined) return `the client's: ${excuse}`;
    return `the relay's, ${wayOf(result.task)}: ${(result.problem ?? "").replaceAll(/\s+/g, " ").slice(0, 300)}`;
  });
  return [...new Set(remarks)];
}
