export { openaiError as toError } from "../../lib/openai-error.ts";
