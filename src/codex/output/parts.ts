import { SentText } from "./sent-text.ts";
import { textOf } from "../wire/lenient.ts";

/** A part of an output item: of its text, its summary or its reasoning. One object for all events that speak of it. */
export interface AnswerPart {
  /** Tells the items of an answer apart. */
  readonly slot: number;
  /** Among the parts of its kind in the item. */
  readonly position: number;
}

interface Part extends AnswerPart {
  readonly kind: string;
  readonly told: SentText;
  /** All of it is told: a delta that comes after is a repetition. */
  isWhole: boolean;
}

/** How much of each part has been told, as upstream tells most things twice and some only at the end. */
export class AnswerParts {
  readonly #byKey = new Map<string, Part>();
  /** Nearly every delta belongs to the part of the one before. */
  #last: Part | undefined;

  text(slot: number, position: number | null | undefined): AnswerPart {
    return this.#of(slot, "text", position ?? 0);
  }

  summary(slot: number, position: number | null | undefined): AnswerPart {
    return this.#of(slot, "summary", position ?? 0);
  }

  reasoning(slot: number, position: number | null | undefined): AnswerPart {
    return this.#of(slot, "reasoning", position ?? 0);
  }

  /** Takes a piece in; returns what of it is news, all or nothing. */
  grow(of: AnswerPart, text: string): string {
    const part = of as Part;
    const piece = textOf(text);
    if (piece === "" || part.isWhole) return "";
    part.told.add(piece);
    return piece;
  }

  /** What of the whole has not been told; nothing when something else was told. */
  rest(of: AnswerPart, whole: string): string {
    const { told, isWhole } = of as Part;
    return isWhole ? "" : (told.restOf(textOf(whole)) ?? "");
  }

  /** All of `whole` is told. */
  close(of: AnswerPart, whole: string): void {
    const part = of as Part;
    if (!part.isWhole && part.told.length > 0 && part.told.restOf(textOf(whole)) === "") part.isWhole = true;
  }

  #of(slot: number, kind: string, position: number): Part {
    const last = this.#last;
    if (last?.slot === slot && last.kind === kind && last.position === position) return last;
    const key = `${slot}/${kind}/${position}`;
    const part = this.#byKey.get(key) ?? { slot, kind, position, told: new SentText(), isWhole: false };
    this.#byKey.set(key, part);
    this.#last = part;
    return part;
  }
}
