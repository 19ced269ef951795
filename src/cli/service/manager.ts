import type { ServicePlan } from "./plan.ts";

/** A file that describes the service to the system. */
export interface ServiceFile {
  readonly path: string;
  readonly content: string | Uint8Array;
  readonly mode: number;
}

/** A command of the system's own tool. */
export interface Step {
  readonly command: readonly string[];
  /** Its failure means nothing, as when something is unloaded that was not loaded. */
  readonly mayFail?: boolean;
  /** Tried again for some seconds: the system may still be busy with the step before. */
  readonly isRetried?: boolean;
}

/** A process of the system that the manager's tool talks to. */
export interface Session {
  /** As in "systemd user manager". */
  readonly name: string;
  /** A command that succeeds where it answers. */
  readonly probe: readonly string[];
  /** What gives a user without one theirs. */
  readonly hint: string;
}

/** The part of the system that starts programs for a user. */
export interface ServiceManager {
  /** As in "systemd user unit". */
  readonly name: string;
  readonly file: string;
  /** More files that the system's own tool makes when it installs the service. */
  readonly links?: readonly string[];
  /** Who starts the service; not every login has one. */
  readonly session?: Session;
  describe(plan: ServicePlan): ServiceFile;
  readonly install: readonly Step[];
  readonly uninstall: readonly Step[];
  /** To be run once the file is gone. */
  readonly afterRemoval: readonly Step[];
  /** Prints the process id of the running service. */
  readonly pid?: readonly string[];
  /** Its log is a file of ours, which the relay keeps small itself. */
  readonly logsToFile?: boolean;
  /** It can hand over no settings: they go where those of `plansocket start` are. */
  readonly keepsState?: boolean;
  /** The command that shows its log. */
  logHint(plan: Pick<ServicePlan, "logFile">): string;
  /** What the owner has to know about when it runs. */
  readonly remark: string;
}
