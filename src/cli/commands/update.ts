import { defineCommand } from "citty";
import { loadSettings, type Judgment } from "../../config/load.ts";
import { RelayError } from "../../lib/errors.ts";
import { openEgress } from "../../upstream/egress.ts";
import { NAME, TARGET, VERSION } from "../../version.ts";
import { citty, parseFlags, type OwnFlag } from "../flags.ts";
import { print, printText, say, warnOf } from "../output.ts";
import { placeOf, type Place } from "../update/place.ts";
import { fetchExecutable, newestVersion, type Releases } from "../update/release.ts";
import { replaceExecutable } from "../update/replace.ts";
import { isStderrTerminal, stderr } from "../streams.ts";

/** `update --check` when there is a newer release: a script can tell it from failure (1) and from being up to date. */
const NEWER_EXISTS = 10;

const OWN: Readonly<Record<string, OwnFlag>> = {
  check: { help: `only say whether there is a newer release: exit code ${NEWER_EXISTS} when there is, 0 when not` },
  json: { help: "print JSON" },
};

const JUDGMENT: Judgment = { needs: ["proxy", "releasesUrl"], toleratesFile: true };

export const update = defineCommand({
  meta: { name: "update", description: "Replace this executable by the newest release." },
  args: citty(OWN, ["proxy"]),
  async run({ rawArgs }) {
    const flags = parseFlags(rawArgs, OWN);
    const { settings, warnings } = await loadSettings(flags.settings, process.env, JUDGMENT);
    warnOf(warnings);
    const egress = openEgress(settings.proxy, process.env);
    const isJson = flags.own["json"] === true;
    const isCheck = flags.own["check"] === true;
    // A refusal should not wait for the network.
    const place = isCheck ? undefined : placeOf(process.execPath, process.env);
    const releases = { baseUrl: releasesOf(settings.releasesUrl), egress };
    return place ? replace(place, releases, isJson) : check(releases, isJson);
  },
});

/** Throws `update_failed` where nobody has named a place for releases: no stranger's is asked. */
function releasesOf(url: string | undefined): string {
  if (url !== undefined) return url;
  throw new RelayError("update_failed", `This ${NAME} was built from a checkout that names no place for releases.`, {
    hint: "Run `git pull` and `sh install.sh` in the checkout, or set PLANSOCKET_RELEASES_URL to the releases you trust.",
  });
}

async function check(releases: Releases, isJson: boolean): Promise<number> {
  const latest = await newestVersion(releases);
  const isNewer = isNewerThanThis(latest);
  if (isJson) printJson({ latest, update_available: isNewer, updated: false });
  else printText(isNewer ? `${NAME} ${latest} is out; this is ${VERSION}.` : upToDate());
  return isNewer ? NEWER_EXISTS : 0;
}

async function replace(place: Place, releases: Releases, isJson: boolean): Promise<number> {
  const latest = await newestVersion(releases);
  const isNewer = isNewerThanThis(latest);
  if (isNewer) {
    say(`Fetching ${NAME} ${latest} for ${TARGET} …`);
    await replaceExecutable(place, await fetchExecutable(releases, latest, TARGET, showProgress), latest);
  }
  if (isJson) printJson({ latest, update_available: false, updated: isNewer, path: place.path });
  else printText(isNewer ? `Updated ${place.path} from ${VERSION} to ${latest}.` : upToDate());
  if (isNewer) say("  A relay that is running goes on as it is until it is started again.");
  return 0;
}

/** On a terminal, how many megabytes are there, in one place that the next line writes over. */
function showProgress(bytes: number): void {
  if (isStderrTerminal()) stderr().write(`\r  ${Math.floor(bytes / 1_000_000)} MB \r`);
}

/** By the rules of semantic versions: 1.0.0-rc.1 comes before 1.0.0. */
function isNewerThanThis(version: string): boolean {
  return Bun.semver.order(version, VERSION) > 0;
}

function upToDate(): string {
  return `${NAME} ${VERSION} is up to date.`;
}

function printJson(facts: Readonly<Record<string, unknown>>): void {
  print(JSON.stringify({ current: VERSION, ...facts }, undefined, 2));
}
