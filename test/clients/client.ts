/** How the relay may reach the backend while a client runs. */
export const TRANSPORTS = ["http", "websocket", "auto"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** How a client is pointed at the relay. */
export type Way = "setup" | "setup --as-builtin" | "run" | "run --demo";

/** One run of a client. */
export interface Task {
  readonly way: Way;
  /** "" leaves it to the relay or the client. */
  readonly model: string;
  readonly transport: Transport;
}

/** Somebody's command-line program that talks to a model. */
export interface Client {
  /** As `setup` calls it. */
  readonly name: string;
  readonly command: string;
  /** What its registry calls it. */
  readonly package: { readonly registry: "npm" | "pypi"; readonly name: string };
  readonly args: (task: Task) => readonly string[];
  /** Keeps the client from calling anything but the relay. */
  readonly env?: Readonly<Record<string, string>>;
  /** Files in its folder that let it use its tools without asking. */
  readonly files?: Readonly<Record<string, string>>;
  /** All but the built-in provider's, unless it has only a file of its own. */
  readonly ways?: readonly Way[];
  /** How the backend is asked, where not as was set: a Codex client's request goes on the way that it came. */
  readonly upstream?: (task: Task) => Transport;
  /** Each of its turns goes on from the one before, where both ways are sockets. */
  readonly isChained?: boolean;
  /** What sets it apart from another of its name. */
  readonly remark?: string;
  /** It edits by text, not by tools, and the stand-in writes no code: its answer has to do. */
  readonly hasNoTools?: boolean;
  /** Why runs fail that no relay could make pass; `says` is what they fail with. */
  readonly excuses?: readonly { readonly says: RegExp; readonly reason: string }[];
}

/** What a client is asked to do: its own tool has to write the file. */
export const PROMPT = "Write the text HELLO-RELAY to the file out.txt, then read it back.";
