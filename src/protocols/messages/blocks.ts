/** A block of the answer as it begins: what it holds so far, mostly nothing. */
export type StartedBlock =
  | { type: "text"; text: string; citations: Citation[] | null }
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "redacted_thinking"; data: string }
  | { type: "tool_use"; id: string; name: string; input: unknown; caller: DirectCaller }
  | { type: "server_tool_use"; id: string; name: "web_search"; input: unknown; caller: DirectCaller }
  | { type: "web_search_tool_result"; tool_use_id: string; content: WebSearchResult[]; caller: DirectCaller };

interface DirectCaller {
  type: "direct";
}

/** The model itself called the tool, not a program that it wrote. */
export const DIRECT: DirectCaller = { type: "direct" };

export interface Citation {
  type: "web_search_result_location";
  url: string;
  title: string | null;
  cited_text: string;
  encrypted_index: string;
}

export interface WebSearchResult {
  type: "web_search_result";
  url: string;
  title: string;
  encrypted_content: string;
  page_age: string | null;
}

/** More of a block. */
export type BlockDelta =
  | { type: "text_delta"; text: string }
  | { type: "citations_delta"; citation: Citation }
  | { type: "thinking_delta"; thinking: string }
  | { type: "signature_delta"; signature: string }
  | { type: "input_json_delta"; partial_json: string };

/** What happens to the blocks of a message, one after the other, as this API streams it. */
export type BlockEvent =
  | { readonly type: "content_block_start"; readonly index: number; readonly content_block: StartedBlock }
  | { readonly type: "content_block_delta"; readonly index: number; readonly delta: BlockDelta }
  | { readonly type: "content_block_stop"; readonly index: number };

/** A block on its way to the client. */
export interface Block {
  readonly start: StartedBlock;
  /** What came for it while another block was open. */
  readonly waiting: BlockDelta[];
  /** Nothing more will come for it. */
  isEnded: boolean;
  /** The client has been told that it is over: what comes later needs a block of its own. */
  isClosed: boolean;
}

/**
 * Sends blocks one at a time, as this API does, although upstream may work on several items at once. Text gives way to
 * whatever comes next; a tool's input cannot be cut in two, so what comes during it waits.
 */
export class BlockQueue {
  readonly #emit: (event: BlockEvent) => void;
  /** Of the block that was opened last. */
  #index = -1;
  #current: Block | undefined;
  readonly #next: Block[] = [];

  constructor(emit: (event: BlockEvent) => void) {
    this.#emit = emit;
  }

  open(start: StartedBlock): Block {
    const block: Block = { start, waiting: [], isEnded: false, isClosed: false };
    this.#next.push(block);
    if (this.#current && this.#current.start.type !== "tool_use") this.#close(this.#current);
    this.#advance();
    return block;
  }

  delta(block: Block, delta: BlockDelta): void {
    if (block === this.#current) this.#more(delta);
    else if (!block.isClosed) block.waiting.push(delta);
  }

  end(block: Block): void {
    block.isEnded = true;
    if (block === this.#current) this.#close(block);
    this.#advance();
  }

  /** The answer is over, whether or not every block was. */
  finish(): void {
    for (const block of [this.#current, ...this.#next]) if (block) block.isEnded = true;
    if (this.#current) this.#close(this.#current);
    this.#advance();
  }

  #advance(): void {
    while (!this.#current) {
      const block = this.#next.shift();
      if (!block) return;
      this.#current = block;
      this.#index += 1;
      this.#emit({ type: "content_block_start", index: this.#index, content_block: block.start });
      for (const delta of block.waiting) this.#more(delta);
      const givesWay = block.start.type !== "tool_use" && this.#next.length > 0;
      if (block.isEnded || givesWay) this.#close(block);
    }
  }

  #close(block: Block): void {
    this.#current = undefined;
    block.isClosed = true;
    this.#emit({ type: "content_block_stop", index: this.#index });
  }

  #more(delta: BlockDelta): void {
    this.#emit({ type: "content_block_delta", index: this.#index, delta });
  }
}
