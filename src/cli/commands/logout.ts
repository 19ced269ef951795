import { defineCommand } from "citty";
import { revoke } from "../../auth/revoke.ts";
import { RelayError } from "../../lib/errors.ts";
import { confirm } from "../confirm.ts";
import { LOGIN_SETTINGS, citty, parseFlags, type OwnFlag } from "../flags.ts";
import { loginPlace, lookAt, type LoginPlace } from "../login/place.ts";
import { say } from "../output.ts";
import { errorCode } from "../../lib/thrown.ts";

const OWN: Readonly<Record<string, OwnFlag>> = { yes: { help: "do not ask" } };

export const logout = defineCommand({
  meta: { name: "logout", description: "End the login, also for the Codex CLI, and remove its file." },
  args: citty(OWN, LOGIN_SETTINGS),
  async run({ rawArgs }) {
    const { settings, own } = parseFlags(rawArgs, OWN);
    const place = await loginPlace(settings, process.env);
    const present = await lookAt(place);
    if (present.kind === "nothing") {
      say(`There is no login in ${place.file.name}.`);
      return 0;
    }
    const what = present.kind === "login" ? present.who : "not usable";
    const others =
      place.path === undefined
        ? "is the login of all replicas. Sign all of them out?"
        : "is the Codex CLI's login too. Sign out of both?";
    const question = `${place.file.name} (${what}) ${others}`;
    if (own["yes"] !== true && !(await confirm(question, "--yes"))) {
      say("Nothing was changed.");
      return 1;
    }
    const isEnded = present.kind === "login" && present.login.kind === "chatgpt" && (await end(place, present.login));
    await remove(place, isEnded);
    const gone = place.path === undefined ? "the login is taken out of the store" : `${place.file.name} is removed`;
    say(`Signed out: ${gone}${isEnded ? " and the login ended." : "."}`);
    return 0;
  },
});

async function end(place: LoginPlace, login: { tokens: Parameters<typeof revoke>[1] }): Promise<boolean> {
  const isEnded = await revoke(place.service, login.tokens);
  if (!isEnded) {
    say("The login service did not confirm the end of the login; it ends there by itself within days.");
    say("To end it now, sign out of all devices in ChatGPT's settings under Security.");
  }
  return isEnded;
}

async function remove(place: LoginPlace, isEnded: boolean): Promise<void> {
  try {
    await place.file.remove();
  } catch (cause) {
    if (cause instanceof RelayError) throw cause;
    const code = errorCode(cause) ?? "unknown error";
    const done = isEnded ? "The login is ended, but " : "";
    throw new RelayError("login_failed", `${done}${place.file.name} could not be removed (${code}).`, {
      cause,
      hint: "Remove it by hand.",
    });
  }
}
