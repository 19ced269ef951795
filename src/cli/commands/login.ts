import { defineCommand } from "citty";
import { TOKEN_VARIABLES } from "../../auth/sources/environment.ts";
import type { IssuedTokens } from "../../auth/code-exchange.ts";
import { newLoginFile, printedLogin } from "../../auth/login-file.ts";
import { RelayError } from "../../lib/errors.ts";
import { confirm, typedLines } from "../confirm.ts";
import { LOGIN_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { signInWithBrowser } from "../login/browser.ts";
import { signInWithDevice } from "../login/device.ts";
import { browserCommand, openBrowser } from "../login/open-browser.ts";
import { loginPlace, lookAt, usesKeyring, whoOf, type LoginPlace } from "../login/place.ts";
import { print, say } from "../output.ts";
import { errorCode } from "../../lib/thrown.ts";

const OWN: Readonly<Record<string, OwnFlag>> = {
  device: { help: "sign in with a code on any device; needs no browser here" },
  "no-browser": { help: "only print the link; the address where the browser ends can be pasted back" },
  print: { help: "print the tokens as JSON, for a sidecar, and write no file" },
  force: { help: "replace a login that is already there without asking" },
};

export const login = defineCommand({
  meta: { name: "login", description: "Sign in with ChatGPT, in a browser or with a code." },
  args: citty(OWN, LOGIN_SETTINGS),
  async run({ rawArgs }) {
    const { settings, own } = parseFlags(rawArgs, OWN);
    const place = await loginPlace(settings, process.env);
    const isPrinted = own["print"] === true;
    if (!isPrinted && !(await mayReplace(place, own["force"] === true))) {
      say("Nothing was changed.");
      return 1;
    }
    // A sign-in takes minutes, and what it gives is issued once.
    if (!isPrinted) await place.file.proveReplaceable().catch((cause: unknown) => refuseUnwritable(place, cause));
    const keep = isPrinted ? printTokens : (tokens: IssuedTokens) => save(place, tokens);
    const who = own["device"]
      ? await keep(await signInWithDevice(place.service))
      : await inBrowser(place, own["no-browser"] === true, keep);
    say(who);
    if (isPrinted) {
      say("For a sidecar: OPENAI_REFRESH_TOKEN, OPENAI_ACCESS_TOKEN, OPENAI_EXPIRES_AT, OPENAI_CHATGPT_ACCOUNT_ID.");
      say("A refresh token works once: give it to one program only.");
    } else await explain(place);
    return 0;
  },
});

/** An old login is not ended at the login service: other programs may still have it. */
async function mayReplace(place: LoginPlace, isForced: boolean): Promise<boolean> {
  const present = await lookAt(place);
  if (present.kind === "nothing" || isForced) return true;
  const what =
    present.kind === "login"
      ? `${place.file.name} already holds a login (${present.who}), which ${place.path === undefined ? "all replicas use" : "the Codex CLI shares"}.`
      : `${place.file.name} exists but cannot be used: ${present.error.message}`;
  return confirm(`${what} Replace it?`, "--force");
}

function inBrowser(
  place: LoginPlace,
  isPrintedOnly: boolean,
  keep: (tokens: IssuedTokens) => Promise<string>,
): Promise<string> {
  return signInWithBrowser({
    service: place.service,
    keep,
    say,
    lines: typedLines(),
    show(url, isListening) {
      const command = isPrintedOnly ? undefined : browserCommand(url, process.platform, process.env);
      const isOpened = command !== undefined && isListening && openBrowser(command);
      say(isOpened ? "Your browser opens. If it does not, go to:" : "To sign in, go to:");
      say(`\n  ${url}\n`);
      if (!isListening) say("Ports 1455 and 1457 are in use, so the browser cannot come back by itself.");
      say("Is the browser on another machine? Sign in there; it ends on a page that does not load.");
      say("Copy the address of that page, paste it here and press Enter.");
    },
  });
}

async function save(place: LoginPlace, tokens: IssuedTokens): Promise<string> {
  const file = newLoginFile(tokens, place.service, Date.now());
  await place.file.replace(file).catch((cause: unknown) => refuseUnwritable(place, cause));
  return `Signed in as ${who(tokens)}.`;
}

function refuseUnwritable(place: LoginPlace, cause: unknown): never {
  if (cause instanceof RelayError) throw cause;
  const code = errorCode(cause) ?? "unknown error";
  throw new RelayError("login_failed", `The login could not be written to ${place.file.name} (${code}).`, {
    cause,
    hint: "Make its folder writable, or choose another place with --auth-file.",
  });
}

// eslint-disable-next-line @typescript-eslint/require-await -- stands beside `save`, which has to wait
async function printTokens(tokens: IssuedTokens): Promise<string> {
  print(JSON.stringify(printedLogin(tokens), undefined, 2));
  return `Signed in as ${who(tokens)}. Nothing was written to disk.`;
}

function who(tokens: IssuedTokens): string {
  return whoOf({
    kind: "chatgpt",
    tokens: { ...tokens, accountId: undefined, expiresAtMs: undefined, lastRefreshMs: undefined },
  });
}

async function explain(place: LoginPlace): Promise<void> {
  if (place.path === undefined)
    return say(`The login is in ${place.file.name}; every relay with this --store uses it.`);
  say(`The login is in ${place.file.name}, where the Codex CLI uses it too.`);
  if (await usesKeyring(place.path)) {
    say("The Codex CLI is set to use the system's keyring and will not see it there.");
    say('To share this login, set cli_auth_credentials_store = "file" in its config.toml.');
  }
  if (TOKEN_VARIABLES.some((name) => process.env[name] || process.env[`${name}_FILE`])) {
    say("Tokens in the environment come before this file; unset them to use it.");
  }
}
