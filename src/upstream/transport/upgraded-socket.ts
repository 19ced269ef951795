// Bun puts its own client in the place of the package `ws`, and that one can neither stop reading nor go over a
// connection of ours; the package's files themselves are not replaced.
import { parse } from "../../../node_modules/ws/lib/extension.js";
import PerMessageDeflate from "../../../node_modules/ws/lib/permessage-deflate.js";
import WebSocket from "../../../node_modules/ws/lib/websocket.js";
import { unreachable } from "../../lib/unreachable.ts";
import type { Upgraded } from "./handshake.ts";

/** Events of the backend are at most a few megabytes (a generated image). */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** As `ws` has them for its own handshakes. */
const CLOSE_TIMEOUT_MS = 30_000;
const MAX_PENDING_PONGS = 60;
const MAX_FRAGMENTS = 16 * 1024;
const MAX_BUFFERED_CHUNKS = 256 * 1024;

/** The client of `ws` over a connection whose handshake was made elsewhere. */
export class UpgradedSocket extends WebSocket {
  /** Throws `upstream_unreachable` for a connection that has ended meanwhile, and for an extension that was not offered. */
  constructor({ connection, headers, host }: Upgraded) {
    super(null, undefined, {
      autoPong: true,
      maxPendingAutoPongs: MAX_PENDING_PONGS,
      closeTimeout: CLOSE_TIMEOUT_MS,
    });
    this._isServer = false;
    try {
      if (connection.destroyed) throw Object.assign(new Error("The connection was closed."), { code: "ECONNRESET" });
      const extensions = headers.get("sec-websocket-extensions");
      if (extensions !== null) this._extensions = agreed(extensions);
    } catch (error) {
      connection.destroy();
      throw unreachable(error, host, undefined);
    }
    this.setSocket(connection, Buffer.alloc(0), {
      allowSynchronousEvents: true,
      maxBufferedChunks: MAX_BUFFERED_CHUNKS,
      maxFragments: MAX_FRAGMENTS,
      maxPayload: MAX_FRAME_BYTES,
    });
    connection.resume();
  }
}

/** Compression is all that is offered. Throws for anything else. */
function agreed(header: string): Record<string, object> {
  const name = PerMessageDeflate.extensionName;
  const { [name]: configurations, ...others } = parse(header);
  if (!configurations || Object.keys(others).length > 0) {
    throw new Error("The answer names an extension that was not offered.");
  }
  const deflate = new PerMessageDeflate({ isServer: false, maxPayload: MAX_FRAME_BYTES });
  deflate.accept(configurations);
  return { [name]: deflate };
}
