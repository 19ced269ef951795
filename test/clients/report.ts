import type { Client, Task, Transport } from "./client.ts";

/** A run of a client and what went wrong, if anything. */
export interface Result {
  readonly client: Client;
  readonly task: Task;
  readonly problem: string | undefined;
}

/** What came of all that was asked of clients. */
export interface Findings {
  readonly results: readonly Result[];
  /** By name; undefined where a client is not installed. */
  readonly versions: ReadonlyMap<string, string | undefined>;
}

/** Names a run. */
export function titleOf(client: Client, { way, model, transport }: Task): string {
  const remark = client.remark === undefined ? "" : ` (${client.remark})`;
  return `${client.name}${remark} by ${way}${model === "" ? "" : ` with ${model}`} over ${transport}`;
}

/** Why a run failed that the relay is not to blame for. */
export function excuseOf({ client, problem }: Result): string | undefined {
  return client.excuses?.find(({ says }) => says.test(problem ?? ""))?.reason;
}

/** Runs that failed and that nothing excuses. */
export function relayFailures(results: readonly Result[]): Result[] {
  return results.filter((result) => result.problem !== undefined && excuseOf(result) === undefined);
}

/** A table with a row for each client and a column for each transport, and the failures behind it. */
export function table({ results, versions }: Findings, transports: readonly Transport[]): string[] {
  const columns = ["client", "version", ...transports, "the relay's", "the client's"];
  const rows = [...Map.groupBy(results, ({ client }) => client)].map(([client, own]) => {
    const counts = transports.map((transport) => {
      const runs = own.filter(({ task }) => task.transport === transport);
      return `${runs.filter(({ problem }) => problem === undefined).length} / ${runs.length}`;
    });
    const relays = relayFailures(own).length;
    const others = own.filter(({ problem }) => problem !== undefined).length - relays;
    const name = client.remark === undefined ? client.name : `${client.name}, ${client.remark}`;
    return [name, versions.get(client.name) ?? "", ...counts, String(relays), String(others)];
  });
  const missing = [...versions].filter(([, version]) => version === undefined).map(([name]) => name);
  return [
    line(columns),
    line(columns.map(() => "---")),
    ...rows.map(line),
    ...(missing.length === 0 ? [] : ["", `Not installed: ${missing.join(", ")}.`]),
    ...failures(results),
  ];
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** One line for each run that failed; known reasons once for each client. */
function failures(results: readonly Result[]): string[] {
  const lines = results
    .filter(({ problem }) => problem !== undefined)
    .map((result) => {
      const excuse = excuseOf(result);
      if (excuse !== undefined) return `- ${result.client.name}: the client's: ${excuse}`;
      const said = (result.problem ?? "").replaceAll(/\s+/g, " ").slice(0, 300);
      return `- ${titleOf(result.client, result.task)}: the relay's: ${said}`;
    });
  return lines.length === 0 ? [] : ["", ...new Set(lines)];
}
