import { describe, expect, test } from "bun:test";
import { tableLines, withFindings } from "../support/compatibility.ts";
import type { Client, Task } from "./client.ts";
import { CLIENTS } from "./list.ts";
import { readOptions } from "./options.ts";
import { columnsOf, findingsOf, relayFailures, titleOf, type Result } from "./report.ts";

describe("the command line of the clients", () => {
  test("runs all over both ways, or those that are named over the ways that are named", () => {
    expect(readOptions([])).toMatchObject({ clients: CLIENTS, transports: ["http", "websocket"], isInstalling: false });
    const { clients, transports, isInstalling } = readOptions(["pi", "--transport", "auto", "--install"]);
    expect(clients.map(({ name }) => name)).toEqual(["pi"]);
    expect([transports, isInstalling]).toEqual([["auto"], true]);
  });

  test.each([
    [["--instal"], "--instal"],
    [["no-such-client"], "No client is called 'no-such-client'."],
    [["--transport", "tcp"], "No transport is called 'tcp'"],
    [["--transport", "auto", "--record"], "--record needs the transports http,websocket."],
  ])("refuses %p", (args, said) => {
    expect(() => readOptions(args)).toThrow(said);
  });
});

const client = (name: string, more: Partial<Client> = {}): Client => ({
  name,
  command: name,
  package: { registry: "npm", name },
  args: () => [],
  ...more,
});
const task = (more: Partial<Task> = {}): Task => ({ way: "run", model: "gpt-5.5", transport: "http", ...more });

test("a table tells passes by way, and whose the failures are", () => {
  const first = client("first", { remark: "over HTTP" });
  const second = client("second", { excuses: [{ says: /log in/, reason: "wants an account of its own" }] });
  const results: Result[] = [
    { client: first, task: task(), problem: undefined },
    { client: first, task: task({ transport: "websocket" }), problem: "no file;\nexit 1" },
    { client: second, task: task(), problem: "please log in" },
    { client: second, task: task({ transport: "websocket" }), problem: "please log in" },
  ];
  const versions = new Map([
    ["first", "1.2.3"],
    ["second", "4.5.6"],
  ]);
  expect(relayFailures(results)).toEqual(results.slice(1, 2));
  const transports = ["http", "websocket"] as const;
  expect(tableLines(columnsOf(transports), findingsOf(results, versions, transports))).toEqual([
    "| client | version | http | websocket | the relay's | the client's |",
    "| --- | --- | --- | --- | --- | --- |",
    "| first, over HTTP | 1.2.3 | 1 / 1 | 0 / 1 | 1 | 0 |",
    "| second | 4.5.6 | 0 / 1 | 0 / 1 | 0 | 2 |",
    "",
    "- first, over HTTP: the relay's, by run with gpt-5.5 over websocket: no file; exit 1",
    "- second: the client's: wants an account of its own",
  ]);
  expect(titleOf(second, task({ way: "run --demo", model: "" }))).toBe("second by run --demo over http");
});

test("rows of the record are replaced by name, with what was said of them, and the rest stays", () => {
  const finding = (name: string, ...cells: string[]) => ({ name, cells, remarks: [] });
  const empty = "# Title\n<!-- suites -->\n<!-- /suites -->\n<!-- clients -->\n<!-- /clients -->\nend\n";
  const columns = ["client", "passed"];
  const told = { ...finding("a", "0 / 1"), remarks: ["lost"] };
  const once = withFindings(empty, "clients", columns, [told, finding("b", "1 / 1")]);
  expect(once).toBe(
    "# Title\n<!-- suites -->\n<!-- /suites -->\n<!-- clients -->\n\n" +
      "| client | passed |\n| --- | --- |\n| a | 0 / 1 |\n| b | 1 / 1 |\n\n- a: lost\n\n<!-- /clients -->\nend\n",
  );
  expect(withFindings(once, "clients", columns, [])).toBe(once);
  const twice = withFindings(once, "clients", columns, [finding("a", "1 / 1"), finding("c", "2 / 2")]);
  expect(twice).toContain("| a | 1 / 1 |\n| b | 1 / 1 |\n| c | 2 / 2 |\n\n<!--");
  expect(() => withFindings("", "clients", columns, [])).toThrow("clients");
});
