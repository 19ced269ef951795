/** The package `ws` under the path of its file, which its own types do not name. */
declare module "*/ws/lib/websocket.js" {
  import WebSocket from "ws";
  export default WebSocket;
}
