/** Files of the package `ws`, under paths and with members that its own types do not name. */
declare module "*/ws/lib/websocket.js" {
  import type { Duplex } from "node:stream";
  import type WebSocket from "ws";
  interface ReceiveOptions {
    readonly allowSynchronousEvents: boolean;
    readonly maxBufferedChunks: number;
    readonly maxFragments: number;
    readonly maxPayload: number;
  }
  export default class extends WebSocket {
    constructor(
      address: null,
      protocols: undefined,
      options: { autoPong: boolean; maxPendingAutoPongs: number; closeTimeout: number },
    );
    /** Clients mask what they send, and servers do not. */
    protected _isServer: boolean;
    /** By name. */
    protected _extensions: Record<string, object>;
    /** Speaks WebSocket over a connection whose handshake is done. */
    protected setSocket(connection: Duplex, head: Buffer, options: ReceiveOptions): void;
  }
}
declare module "*/ws/lib/extension.js" {
  export function parse(header: string): Record<string, object[]>;
}
declare module "*/ws/lib/permessage-deflate.js" {
  export default class PerMessageDeflate {
    static readonly extensionName: string;
    constructor(options: { isServer: boolean; maxPayload: number });
    accept(configurations: object[]): object;
  }
}
