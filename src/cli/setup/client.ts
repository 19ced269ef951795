/** What a client has to know about the relay. */
export interface Target {
  /** As in `http://127.0.0.1:8787`. */
  readonly origin: string;
  /** Base URL of OpenAI clients. */
  readonly v1: string;
  /** The relay's key; where it asks for none, a word that stands in its place, because clients insist on one. */
  readonly key: string;
  /** False when `key` is only the placeholder. */
  readonly hasKey: boolean;
  /** Id that the client uses unless told otherwise; may end in an effort. */
  readonly model: string;
  /** Id for small jobs of the client's own, as titles. */
  readonly smallModel: string;
  /** All that the account lists, `model` first. */
  readonly models: readonly TargetModel[];
  /** Make it the default also where the client keeps several providers. */
  readonly isDefault: boolean;
  /** A `.env` file to write, for clients that have one. */
  readonly envFile: string | undefined;
  /** Shell of `setup env`. */
  readonly shell: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface TargetModel {
  readonly id: string;
  readonly name: string;
  readonly contextTokens: number;
  readonly takesImages: boolean;
}

/** One file of the client, and how its text changes. */
interface FileEdit {
  readonly path: string;
  /** From the text that is there ("" where there is no file) to the one that should be. Throws `setup_failed`. */
  readonly edit: (before: string) => string;
}

/** What setting a client up comes down to. */
export interface Plan {
  readonly files: readonly FileEdit[];
  /** For clients that no file reaches: what their owner has to do; printed as data. */
  readonly instructions?: string;
  /** How to use it from now on. */
  readonly next: readonly string[];
}

export interface ClientSetup {
  readonly title: string;
  /** Its program, by which it is found on this machine. */
  readonly command?: string;
  /** What it puts something else in the place of, wherever it stands in the file, with no way to write it as itself. */
  readonly replaces?: { readonly form: string; readonly pattern: RegExp };
  /** False for those that need no model: the backend is then not asked, and `models` is empty. */
  readonly usesModels?: boolean;
  /** Looks which of its files the client has; changes nothing. Throws `setup_failed`. */
  readonly plan: (target: Target) => Plan;
  /** The same in the place of the provider that the client has built in, for those that keep functions for it. */
  readonly planAsBuiltin?: (target: Target) => Plan;
}

/** Name of the relay where a client keeps several providers. */
export const PROVIDER = "plansocket";

/** Room that clients keep for an answer; the backend has no such limit to read it from. */
export const OUTPUT_TOKENS = 32_000;
