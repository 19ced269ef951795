import type { JsonObject } from "../../lib/json.ts";

/** Fields of these tools that the model is told of. */
export const CLIENT_TOOL_FIELDS = [
  "display_height_px",
  "display_number",
  "display_width_px",
  "enable_zoom",
  "max_characters",
] as const;

/**
 * Tools of this API that the client itself runs and that are sent without a schema, because the other vendor's models
 * know them. Here the model gets a function of the tool's own name with the arguments that the client understands.
 */
export function clientToolFunction(type: string, tool: JsonObject): JsonObject | undefined {
  const kind = /^(bash|text_editor|memory|computer)_\d{8}$/.exec(type)?.[1];
  switch (kind) {
    case "bash":
      return { description: BASH, parameters: object({ command: text("The command."), restart: BOOLEAN }) };
    case "text_editor":
      return { description: editorDescription(tool), parameters: object(EDITOR_ARGUMENTS, ["command", "path"]) };
    case "memory":
      return { description: MEMORY, parameters: object(MEMORY_ARGUMENTS, ["command"]) };
    case "computer":
      return { description: computerDescription(tool), parameters: computerArguments(tool) };
    default:
      return undefined;
  }
}

const BASH =
  "Runs a command in a shell that stays open between calls, and returns its output. With `restart` a new shell begins.";
const TEXT_EDITOR =
  "Shows, makes and changes text files. `view` shows a file, or a part of it by `view_range`, or a folder; `create` " +
  "writes `file_text`; `str_replace` puts `new_str` in the place of `old_str`, which must be there exactly once; " +
  "`insert` puts `insert_text` behind line `insert_line`.";
const MEMORY =
  "Keeps notes in files under /memories that outlive the conversation. `view` shows a file or folder; `create` writes " +
  "`file_text`; `str_replace` puts `new_str` in the place of `old_str`; `insert` puts `insert_text` behind line " +
  "`insert_line`; `delete` removes `path`; `rename` moves `old_path` to `new_path`.";

function editorDescription({ max_characters: most }: JsonObject): string {
  return typeof most === "number"
    ? `${TEXT_EDITOR} At most ${most} characters of a file are shown at once.`
    : TEXT_EDITOR;
}

function computerDescription(tool: JsonObject): string {
  const { display_width_px: width, display_height_px: height, display_number: number } = tool;
  const size = typeof width === "number" && typeof height === "number" ? ` of ${width} by ${height} pixels` : "";
  const which = typeof number === "number" ? ` number ${number}` : "";
  return (
    `Uses a screen${which}${size} with mouse and keyboard, one action at a time. Coordinates are [x, y] in pixels from the ` +
    "upper left corner. `screenshot` shows the screen; `key` and `type` send `text`; `scroll` and `wait` say how much."
  );
}

const BOOLEAN = { type: "boolean" };
const INTEGER = { type: "integer" };

function text(description?: string): JsonObject {
  return { type: "string", ...(description === undefined ? {} : { description }) };
}

function choice(...values: string[]): JsonObject {
  return { type: "string", enum: values };
}

function object(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}) };
}

const PLACE = { type: "array", items: INTEGER, minItems: 2, maxItems: 2 };

const EDITOR_ARGUMENTS = {
  command: choice("view", "create", "str_replace", "insert"),
  path: text(),
  file_text: text(),
  old_str: text(),
  new_str: text(),
  insert_line: INTEGER,
  insert_text: text(),
  view_range: { type: "array", items: INTEGER },
};

const MEMORY_ARGUMENTS = {
  command: choice("view", "create", "str_replace", "insert", "delete", "rename"),
  path: text(),
  view_range: { type: "array", items: INTEGER },
  file_text: text(),
  old_str: text(),
  new_str: text(),
  insert_line: INTEGER,
  insert_text: text(),
  old_path: text(),
  new_path: text(),
};

const COMPUTER_ACTIONS = [
  "screenshot",
  "cursor_position",
  "mouse_move",
  "left_click",
  "left_click_drag",
  "left_mouse_down",
  "left_mouse_up",
  "right_click",
  "middle_click",
  "double_click",
  "triple_click",
  "scroll",
  "key",
  "hold_key",
  "type",
  "wait",
];

const COMPUTER_ARGUMENTS = {
  coordinate: PLACE,
  start_coordinate: PLACE,
  text: text(),
  duration: { type: "number", description: "In seconds." },
  scroll_direction: choice("up", "down", "left", "right"),
  scroll_amount: INTEGER,
};

/** Clients know the action that shows a part of the screen larger only where they say so. */
function computerArguments({ enable_zoom: mayZoom }: JsonObject): JsonObject {
  const region = { type: "array", items: INTEGER, description: "[x0, y0, x1, y1] for zoom." };
  const properties =
    mayZoom === true
      ? { action: choice(...COMPUTER_ACTIONS, "zoom"), ...COMPUTER_ARGUMENTS, region }
      : { action: choice(...COMPUTER_ACTIONS), ...COMPUTER_ARGUMENTS };
  return object(properties, ["action"]);
}
