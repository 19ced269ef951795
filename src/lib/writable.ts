import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import { errorCode } from "./thrown.ts";

/** True when files can be made in the folder, or the folder itself can be. */
export function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch (error) {
    const parent = dirname(folder);
    return errorCode(error) === "ENOENT" && parent !== folder && isWritable(parent);
  }
}
