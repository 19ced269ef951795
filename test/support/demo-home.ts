import { afterEach, beforeEach } from "bun:test";
import { startStandIn, type StandIn } from "../stand-in/backend.ts";
import { CommandHome } from "./cli.ts";

export interface DemoHome {
  readonly backend: StandIn;
  readonly home: CommandHome;
}

/**
 * For each test of a file a stand-in backend, and a home whose commands use it with the tokens that `tokensOf` gives them
 * of a new login.
 */
export function demoHome(
  tokensOf: (login: ReturnType<StandIn["issueLogin"]>) => Readonly<Record<string, string>>,
): DemoHome {
  let backend: StandIn;
  let home: CommandHome;
  beforeEach(() => {
    backend = startStandIn();
    home = new CommandHome({
      PLANSOCKET_BASE_URL: backend.baseUrl,
      CODEX_REFRESH_TOKEN_URL_OVERRIDE: backend.tokenUrl,
      ...tokensOf(backend.issueLogin()),
    });
  });
  afterEach(async () => {
    await backend.stop();
    home.remove();
  });
  return {
    get backend() {
      return backend;
    },
    get home() {
      return home;
    },
  };
}
