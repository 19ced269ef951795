/**
 * `bun test/picture/session.ts` draws README's picture, .github/session.svg, from a session that really takes place:
 * `plansocket demo` on a free port, and two programs' questions to it.
 */
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const COLUMNS = 100;
/** Of a character in the font below, in SVG units. */
const CELL = { width: 8.4, height: 20 };
const MARGIN = 20;

type Line = { readonly kind: "command" | "output"; readonly text: string };

const child = Bun.spawn(
  [process.execPath, join(root, "src/main.ts"), "demo", "--port", "0", "--log-format", "pretty"],
  {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  },
);
try {
  const banner = await bannerOf(child.stderr);
  const base = /http:\/\/127\.0\.0\.1:\d+/.exec(banner)?.[0];
  if (base === undefined) throw new Error(`The demo did not say where it listens:\n${banner}`);
  const port = new URL(base).port;
  const shown = (text: string) => text.replaceAll(`:${port}`, ":8787");

  const lines: Line[] = [{ kind: "command", text: "plansocket demo" }];
  for (const line of banner.split("\n").slice(0, 3)) lines.push({ kind: "output", text: shown(line) });

  const chat = { model: "gpt-5.5", messages: [{ role: "user", content: "hello" }] };
  lines.push(
    ...asked(
      `curl http://127.0.0.1:8787/v1/chat/completions -d '${JSON.stringify(chat)}' | jq .choices[0].message.content`,
    ),
  );
  lines.push({ kind: "output", text: JSON.stringify(await chatText(base, chat)) });

  const messages = { model: "claude-sonnet", max_tokens: 200, messages: chat.messages };
  lines.push(
    ...asked(`curl http://127.0.0.1:8787/v1/messages -d '${JSON.stringify(messages)}' | jq .content[-1].text`),
  );
  lines.push({ kind: "output", text: JSON.stringify(await messageText(base, messages)) });

  await Bun.write(join(root, ".github/session.svg"), svgOf(lines.flatMap(wrapped)));
} finally {
  child.kill();
  await child.exited;
}

function asked(command: string): Line[] {
  return [{ kind: "command", text: command }];
}

/** What the program says until it is ready. */
async function bannerOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("Try it:")) break;
  }
  return text;
}

async function post(url: string, body: object): Promise<unknown> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered with ${response.status}.`);
  return response.json();
}

async function chatText(base: string, body: object): Promise<string> {
  const reply = (await post(`${base}/v1/chat/completions`, body)) as { choices: { message: { content: string } }[] };
  return reply.choices[0]?.message.content ?? "";
}

async function messageText(base: string, body: object): Promise<string> {
  const reply = (await post(`${base}/v1/messages`, body)) as { content: { text?: string }[] };
  return reply.content.at(-1)?.text ?? "";
}

function wrapped({ kind, text }: Line): Line[] {
  const prompt = kind === "command" ? "$ " : "";
  const rest = prompt + text;
  const lines: Line[] = [];
  for (let at = 0; at < rest.length; at += COLUMNS) lines.push({ kind, text: rest.slice(at, at + COLUMNS) });
  return lines.length > 0 ? lines : [{ kind, text: "" }];
}

function svgOf(lines: readonly Line[]): string {
  const width = Math.ceil(COLUMNS * CELL.width + 2 * MARGIN);
  const height = lines.length * CELL.height + 2 * MARGIN;
  const rows = lines.map(({ kind, text }, index) => {
    const y = MARGIN + (index + 0.75) * CELL.height;
    const fill = kind === "command" ? "#7ee787" : "#e6edf3";
    return `  <text x="${MARGIN}" y="${y}" fill="${fill}" xml:space="preserve">${escaped(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" role="img" aria-label="A session in a terminal: plansocket demo, and two questions with curl">
  <rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${rows.join("\n")}
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
