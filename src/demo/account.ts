import type { JsonObject } from "../lib/json.ts";
import { CATALOGUE_ETAG } from "./catalogue.ts";

/** A made-up ChatGPT account. */
export interface DemoAccount {
  readonly accountId: string;
  readonly userId: string;
  readonly email: string;
  readonly plan: string;
  readonly isFedramp: boolean;
}

/** Who is signed in, where nobody says otherwise. */
export const DEMO_ACCOUNT: DemoAccount = {
  accountId: "11111111-2222-4333-8444-555555555555",
  userId: "user-stand-in",
  email: "dev@example.com",
  plan: "pro",
  isFedramp: false,
};

const WEEK_S = 604_800;
const FIVE_HOURS_S = 18_000;

/** How full the plan's two windows are, in percent. */
export interface Windows {
  readonly primary: number;
  readonly secondary: number;
}

const USUAL_WINDOWS: Windows = { primary: 12, secondary: 34 };

/** What replies say about the plan. `plan` is the account's. */
export function limitHeaders(plan: string, nowMs: number, windows: Windows = USUAL_WINDOWS): Record<string, string> {
  const nowS = Math.floor(nowMs / 1000);
  return {
    "x-codex-active-limit": "premium",
    "x-codex-plan-type": plan,
    "x-codex-primary-used-percent": String(windows.primary),
    "x-codex-primary-window-minutes": String(FIVE_HOURS_S / 60),
    "x-codex-primary-reset-after-seconds": "13873",
    "x-codex-primary-reset-at": String(nowS + 13_873),
    "x-codex-secondary-used-percent": String(windows.secondary),
    "x-codex-secondary-window-minutes": String(WEEK_S / 60),
    "x-codex-secondary-reset-after-seconds": "316705",
    "x-codex-secondary-reset-at": String(nowS + 316_705),
    "x-codex-primary-over-secondary-limit-percent": "0",
    "x-codex-credits-has-credits": "False",
    "x-codex-credits-unlimited": "False",
    "x-codex-credits-balance": "0",
    "x-models-etag": CATALOGUE_ETAG,
  };
}

/** The body of /wham/usage, which counts in seconds where headers count in minutes. */
export function usageReply(account: DemoAccount, nowMs: number): JsonObject {
  const nowS = Math.floor(nowMs / 1000);
  const window = (usedPercent: number, lengthS: number, resetS: number) => ({
    used_percent: usedPercent,
    limit_window_seconds: lengthS,
    reset_after_seconds: resetS,
    reset_at: nowS + resetS,
  });
  return {
    user_id: account.userId,
    account_id: account.accountId,
    email: account.email,
    plan_type: account.plan,
    rate_limit: {
      allowed: true,
      limit_reached: false,
      primary_window: window(USUAL_WINDOWS.primary, FIVE_HOURS_S, 13_873),
      secondary_window: window(USUAL_WINDOWS.secondary, WEEK_S, 316_705),
    },
    code_review_rate_limit: null,
    additional_rate_limits: [
      {
        limit_name: "gpt-5.3-codex-spark",
        metered_feature: "codex_bengalfox",
        rate_limit: {
          allowed: true,
          limit_reached: false,
          primary_window: window(3, FIVE_HOURS_S, 9000),
          secondary_window: window(1, WEEK_S, 400_000),
        },
      },
    ],
    credits: {
      has_credits: true,
      unlimited: false,
      balance: "12.5",
      approx_local_messages: [0, 0],
      approx_cloud_messages: [0, 0],
    },
    spend_control: { reached: false },
    rate_limit_reached_type: null,
    rate_limit_reset_credits: null,
    promo: null,
  };
}
