import type { Environment } from "../../lib/environment.ts";

/** The command that shows a URL in the owner's browser; undefined where there is no screen to show it on. */
export function browserCommand(url: string, platform: string, env: Environment): string[] | undefined {
  // Somebody who came in over SSH has the browser at the other end.
  if (env["SSH_CONNECTION"]) return undefined;
  if (platform === "darwin") return ["open", url];
  // Not `cmd /c start`: that would take every & in the URL for the end of a command.
  if (platform === "win32") return ["rundll32", "url.dll,FileProtocolHandler", url];
  return env["DISPLAY"] || env["WAYLAND_DISPLAY"] || env["WSL_DISTRO_NAME"] ? ["xdg-open", url] : undefined;
}

/** Starts it and does not wait. False when it could not be started; the URL is on the terminal anyway. */
export function openBrowser(command: readonly string[]): boolean {
  try {
    Bun.spawn([...command], { stdio: ["ignore", "ignore", "ignore"] }).unref();
    return true;
  } catch {
    return false;
  }
}
