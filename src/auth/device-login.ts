import { z } from "zod";
import { RelayError } from "../lib/errors.ts";
import { exchangeCode, type IssuedTokens } from "./code-exchange.ts";
import { emptyReplyError, postToService, refusalOf, type LoginService, type ServiceReply } from "./login-service.ts";

/** What the owner types into a page on any device. */
export interface DeviceCode {
  readonly userCode: string;
  /** The page. */
  readonly url: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
  readonly deviceAuthId: string;
  readonly intervalMs: number;
}

export interface DeviceWait {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Called before each pause, for a countdown. */
  readonly onWait?: (leftMs: number) => void;
}

const LIFETIME_MS = 15 * 60_000;
const USUAL_INTERVAL_S = 5;
/** A laptop that changes its network must not lose the sign-in. */
const UNREACHABLE_IN_A_ROW = 5;

const CodeReply = z
  .looseObject({
    device_auth_id: z.string().min(1),
    user_code: z.string().min(1).optional(),
    usercode: z.string().min(1).optional(),
    interval: z.union([z.string(), z.number()]).nullish(),
    expires_at: z.string().nullish(),
  })
  .transform((reply) => ({ ...reply, code: reply.user_code ?? reply.usercode }));

const Approval = z.looseObject({ authorization_code: z.string().min(1), code_verifier: z.string().min(1) });

/** Asks for a code. Throws RelayError; that device sign-in is switched off is said in so many words. */
export async function requestDeviceCode(service: LoginService, nowMs: number): Promise<DeviceCode> {
  const reply = await postToService(service, `${service.issuer}/api/accounts/deviceauth/usercode`, {
    json: { client_id: service.clientId },
  });
  if (reply.status === 404) {
    throw new RelayError("login_failed", "Signing in with a device code is not enabled for this account.", {
      hint: "Enable it in ChatGPT's settings under Security, or use `plansocket login --no-browser`.",
    });
  }
  if (reply.status !== 200) throw refusalOf(reply, "the request for a code", "Try again, or use `plansocket login`.");
  const parsed = CodeReply.safeParse(reply.body);
  if (!parsed.success || parsed.data.code === undefined) {
    throw emptyReplyError(
      reply,
      "The login service answered without a device code.",
      "Try again, or use `plansocket login`.",
    );
  }
  const { device_auth_id: deviceAuthId, code, interval, expires_at: expiresAt } = parsed.data;
  // A string of seconds today; a number would mean the same.
  const seconds = Number(interval ?? USUAL_INTERVAL_S);
  const expiry = Date.parse(expiresAt ?? "");
  return {
    userCode: code,
    url: `${service.issuer}/codex/device`,
    expiresAtMs: expiry > nowMs ? expiry : nowMs + LIFETIME_MS,
    deviceAuthId,
    intervalMs: (Number.isFinite(seconds) && seconds > 0 ? seconds : USUAL_INTERVAL_S) * 1000,
  };
}

/** Waits until the owner has typed the code, then redeems it. Throws RelayError, also when the time is up. */
export async function awaitDevice(service: LoginService, device: DeviceCode, wait: DeviceWait): Promise<IssuedTokens> {
  const url = `${service.issuer}/api/accounts/deviceauth/token`;
  const json = { device_auth_id: device.deviceAuthId, user_code: device.userCode };
  for (let unreachable = 0; ;) {
    const leftMs = device.expiresAtMs - wait.now();
    if (leftMs <= 0) {
      throw new RelayError("login_failed", "The code was not entered in time.", {
        hint: "Run `plansocket login --device` again.",
      });
    }
    const reply = await postToService(service, url, { json }).catch((error: unknown) => {
      unreachable += 1;
      if (unreachable >= UNREACHABLE_IN_A_ROW) throw error;
      return undefined;
    });
    if (reply) {
      unreachable = 0;
      if (reply.status === 200) return redeem(service, reply);
      // Either means that nobody has typed the code yet. A page of something in between means neither.
      const isPending = (reply.status === 403 || reply.status === 404) && !/^\s*</.test(reply.text);
      if (!isPending) throw refusalOf(reply, "the code", "Run `plansocket login --device` again.");
    }
    wait.onWait?.(leftMs);
    await wait.sleep(Math.min(device.intervalMs, leftMs));
  }
}

/** In this flow the verifier comes from the service. */
function redeem(service: LoginService, reply: ServiceReply): Promise<IssuedTokens> {
  const approval = Approval.safeParse(reply.body);
  if (!approval.success) {
    throw emptyReplyError(
      reply,
      "The login service approved the code but sent nothing to redeem.",
      "Run `plansocket login --device` again.",
    );
  }
  return exchangeCode(service, {
    code: approval.data.authorization_code,
    redirectUri: `${service.issuer}/deviceauth/callback`,
    verifier: approval.data.code_verifier,
  });
}
