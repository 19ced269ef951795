import { clampEffort, findModel } from "../../codex/models.ts";
import type { CodexRequest } from "../../codex/wire/request.ts";
import type { Context, Translation } from "../protocol.ts";
import { drawingModel, imageModel } from "./models.ts";
import type { ImageRequest } from "./schema.ts";

/** The tool is called by a model, which would otherwise improve on the words or chat about them. */
const INSTRUCTIONS =
  "Call the image_generation tool once, with the user's message as the prompt, word for word. " +
  "Ask nothing back, and write nothing before or after it.";

/** The request as one for a response whose model draws with the hosted tool. */
export function toToolCall(request: ImageRequest, context: Context): Translation {
  const slug = drawingModel(context.models);
  const { model } = imageModel(request.model);
  const tool = {
    type: "image_generation",
    // Without a wish the tool has its own model, which it knows best.
    ...(request.model === undefined ? {} : { model }),
    ...request.options,
    ...(request.partialImages > 0 ? { partial_images: request.partialImages } : {}),
    ...(request.mask === undefined ? {} : { input_image_mask: { image_url: request.mask } }),
  };
  const images = request.images.map((url) => ({ type: "input_image", image_url: url, detail: "auto" }));
  const body: CodexRequest = {
    model: slug,
    instructions: INSTRUCTIONS,
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text: request.prompt }, ...images] }],
    tools: [tool],
    // The backend takes no choice of a tool that it runs itself; the instructions have to do.
    tool_choice: "auto",
    // Calling a tool needs no thinking; the picture does not come from it.
    reasoning: { effort: clampEffort("low", findModel(context.models, slug)) },
    include: ["reasoning.encrypted_content"],
    store: false,
    stream: true,
  };
  return { body, dropped: request.dropped, changed: request.changed };
}
