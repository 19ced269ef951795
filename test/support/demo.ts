import type { LoginOptions } from "../stand-in/account.ts";
import { startStandIn, type StandIn, type StandInOptions } from "../stand-in/backend.ts";
import { fixedCredentials, startTestRelay, type TestRelay, type TestRelayOptions } from "./relay.ts";

export interface DemoRelay {
  readonly backend: StandIn;
  readonly relay: TestRelay;
  /** Base URL for OpenAI clients. */
  readonly v1: string;
  stop(): Promise<void>;
}

/** A relay in front of the strict stand-in backend, with a login that the stand-in issued. */
export function startDemoRelay(
  over: Partial<TestRelayOptions> = {},
  backendOptions: StandInOptions = {},
  login: LoginOptions = {},
): DemoRelay {
  const backend = startStandIn(backendOptions);
  const { accessToken, accountId } = backend.issueLogin(login);
  const relay = startTestRelay({
    baseUrl: backend.baseUrl,
    credentials: fixedCredentials({ accessToken, accountId, plan: login.plan ?? "pro" }),
    ...over,
  });
  return {
    backend,
    relay,
    v1: `${relay.url}/v1`,
    async stop() {
      await relay.stop();
      await backend.stop();
    },
  };
}
