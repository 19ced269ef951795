import { pageAssets } from "./assets.ts" with { type: "macro" };

/** The files of the status page, put in place when the program is bundled. Loaded only when a browser asks for one. */
export const ASSETS = pageAssets();
