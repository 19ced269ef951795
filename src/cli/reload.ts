import { SETTINGS, type SettingName } from "../config/settings.ts";
import { toRelayError } from "../lib/errors.ts";
import type { RunningRelay } from "../server/serve.ts";
import { warnOfText } from "./log.ts";
import { checkFallback, liveUpstreamOptions, relayOptions, secretsOf, type Services } from "./services.ts";

/** Reads the settings again and takes over what may change. Whatever is wrong with them is told, and changes nothing. */
export function reloader(services: Services, relay: Pick<RunningRelay, "reconfigure">): () => void {
  let { settings } = services;
  let last = Promise.resolve();
  const read = async () => {
    const { log, upstream } = services;
    try {
      const { reload } = await import("../config/reload.ts");
      const next = reload(settings, await services.reread());
      checkFallback(next.settings);
      // First, because it may refuse: off loopback the key cannot go.
      relay.reconfigure(relayOptions(next.settings));
      upstream.reconfigure(liveUpstreamOptions(next.settings));
      log.adjust?.({ level: next.settings.logLevel, secrets: secretsOf(next.settings) });
      if (next.taken.includes("logLevel")) warnOfText(log);
      settings = next.settings;
      log.info("The settings were read again.", { changed: keysOf(next.taken) });
      if (next.waiting.length > 0) {
        log.warn("Some changed settings need a restart.", { settings: keysOf(next.waiting) });
      }
    } catch (thrown) {
      const { message, hint = "" } = toRelayError(thrown);
      log.error(`The settings were not taken over; the old ones stay in force. ${message} ${hint}`.trim());
    }
  };
  // One after the other: the last signal has the last word.
  return () => void (last = last.then(read));
}

function keysOf(names: readonly SettingName[]): string {
  return names.length === 0 ? "none" : names.map((name) => SETTINGS[name].key).join(", ");
}
