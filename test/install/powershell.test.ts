import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Language, Parser, type Node } from "web-tree-sitter";
import { completionData, SHELLS } from "../../src/cli/completions.ts";
import { CommandHome } from "../support/cli.ts";

/** PowerShell runs nowhere but on Windows here, in the release's workflow; its grammar finds what is no PowerShell at all. */
const parser = { of: (_text: string): string[] => [] };
const home = new CommandHome();
afterAll(() => home.remove());

beforeAll(async () => {
  await Parser.init();
  const wasm = fileURLToPath(import.meta.resolve("tree-sitter-powershell/tree-sitter-powershell.wasm"));
  const powershell = new Parser().setLanguage(await Language.load(wasm));
  parser.of = (text) => faultsIn(powershell.parse(text)?.rootNode ?? undefined);
});

/** Line and text of everything that the grammar does not know, or misses. */
function faultsIn(node: Node | undefined): string[] {
  if (!node) return ["nothing was parsed"];
  if (node.isError || node.isMissing) return [`line ${node.startPosition.row + 1}: ${node.text.slice(0, 60)}`];
  return node.children.flatMap((child) => faultsIn(child ?? undefined));
}

describe("what is written for PowerShell is PowerShell:", () => {
  test("the installer", () => {
    const text = readFileSync(join(import.meta.dir, "../../.github/windows/install.ps1"), "utf8");
    expect(parser.of(text)).toEqual([]);
    expect(parser.of(text.replace("finally {", "finally"))).not.toEqual([]);
    expect(parser.of(text.replace("Get-FileHash -LiteralPath $file", "Get-FileHash -LiteralPath ("))).not.toEqual([]);
  });

  test("the completions", async () => {
    const text = SHELLS["powershell"]?.(await completionData()) ?? "";
    expect(text).toContain("Register-ArgumentCompleter");
    expect(parser.of(text)).toEqual([]);
  });

  test("the variables of setup env, with a key that has to be escaped", async () => {
    const { out } = await home.run(["setup", "env", "--shell", "powershell", "--api-key", "a'b $c `d"]);
    expect(out).toContain("$env:OPENAI_API_KEY = 'a''b $c `d'");
    expect(parser.of(out)).toEqual([]);
  });
});
