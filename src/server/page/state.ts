import type { CredentialProvider } from "../../auth/credentials.ts";
import { modelDetails } from "../../codex/model-details.ts";
import { publishedModels } from "../../codex/models.ts";
import { paceOf } from "../../codex/pace.ts";
import { RESERVE_MODEL, windowName, windowsOf, type NamedWindow, type PlanLimits } from "../../codex/plan-limits.ts";
import { toRelayError } from "../../lib/errors.ts";
import { printableLine } from "../../lib/printable.ts";
import type { CountsView, LoginView, ModelView, PageState, PlanView, WindowView } from "../../page/contract.ts";
import type { UpstreamClient } from "../../upstream/client.ts";
import { VERSION } from "../../version.ts";

/** How full the plan is, is asked for a page when nothing newer than this was heard. */
const PLAN_FRESH_MS = 5 * 60_000;
const PLAN_TIMEOUT_MS = 10_000;
/** The rest of the page does not wait longer for it. */
const FIRST_PLAN_MS = 1500;

export interface StateSources {
  readonly upstream: UpstreamClient;
  readonly credentials: CredentialProvider;
  readonly startedAtMs: number;
  readonly now: () => number;
  readonly isKeyRequired: () => boolean;
  readonly hasLedger: boolean;
  readonly counts: () => CountsView;
}

/** What the status page shows, as it is now. */
export class StateReader {
  readonly #sources: StateSources;
  #askedPlanAtMs = 0;

  constructor(sources: StateSources) {
    this.#sources = sources;
  }

  /** Never throws: what cannot be known is said to be so. */
  async read(): Promise<PageState> {
    const { upstream, startedAtMs, now, isKeyRequired, hasLedger, counts } = this.#sources;
    const login = await this.#login();
    if (login.isGood && login.kind === "chatgpt") await this.#askPlan();
    const catalogue = await upstream.catalogue.current();
    const limits = upstream.limits.current();
    const nowMs = now();
    return {
      version: VERSION,
      startedAtMs,
      nowMs,
      isKeyRequired: isKeyRequired(),
      login,
      plan: limits && planView(limits, nowMs),
      models: publishedModels(catalogue).map((id) => modelView(id, modelDetails(catalogue, id))),
      isModelListOld: catalogue.origin !== "live",
      counts: counts(),
      hasLedger,
    };
  }

  async #login(): Promise<LoginView> {
    try {
      const { kind, email, plan, source, expiresAtMs } = await this.#sources.credentials.current();
      return {
        isGood: true,
        kind,
        email: email && printableLine(email),
        plan: plan && printableLine(plan),
        source: printableLine(source),
        expiresAtMs,
      };
    } catch (thrown) {
      const { message, hint = "Run `plansocket doctor`." } = toRelayError(thrown);
      return { isGood: false, message: printableLine(message), fix: printableLine(hint) };
    }
  }

  /** A page that stays open asks again and again. Waits only while nothing is known yet, and not for long. */
  async #askPlan(): Promise<void> {
    const { upstream, now } = this.#sources;
    const known = upstream.limits.current();
    if (now() - Math.max(this.#askedPlanAtMs, known?.seenAtMs ?? 0) < PLAN_FRESH_MS) return;
    this.#askedPlanAtMs = now();
    // When it fails, the page says that nothing is known yet.
    const asked = upstream.usage(AbortSignal.timeout(PLAN_TIMEOUT_MS)).catch(() => undefined);
    if (!known) await Promise.race([asked, Bun.sleep(FIRST_PLAN_MS)]);
  }
}

function planView(limits: PlanLimits, nowMs: number): PlanView {
  const { credits } = limits;
  const isHeld = credits !== undefined && (credits.hasCredits || credits.isUnlimited);
  return {
    windows: windowsOf(limits).map((named) => windowView(named, nowMs)),
    credits: isHeld ? (credits.isUnlimited ? "unlimited" : (credits.balance ?? "some")) : undefined,
    bankedResets: limits.bankedResets,
    isReserveOffered: limits.isReserveOffered === true,
    seenAtMs: limits.seenAtMs,
  };
}

function windowView({ meter, window }: NamedWindow, nowMs: number): WindowView {
  const model = meter.name === RESERVE_MODEL ? "Luna Reserve" : meter.name;
  const length = window.windowMinutes === undefined && model !== undefined ? "" : windowName(window.windowMinutes);
  const { amount } = meter;
  return {
    name: printableLine([model, length].filter(Boolean).join(", ")),
    usedPercent: window.usedPercent,
    resetsAtMs: window.resetsAtMs,
    pace: paceOf(window, nowMs),
    amount: amount && printableLine(`${amount.used} of ${amount.limit} ${amount.unit ?? ""}`.trim()),
  };
}

function modelView(id: string, details: ReturnType<typeof modelDetails>): ModelView {
  return {
    id: printableLine(id),
    name: printableLine(details.name),
    contextTokens: details.contextTokens,
    efforts: details.efforts,
    tiers: details.serviceTiers.map(printableLine),
    inputs: details.inputModalities.map(printableLine),
  };
}
