import type { IssuedTokens } from "../../auth/code-exchange.ts";
import { awaitDevice, requestDeviceCode } from "../../auth/device-login.ts";
import type { LoginService } from "../../auth/login-service.ts";
import { say } from "../output.ts";
import { span } from "../../lib/time.ts";
import { isStderrTerminal, stderr } from "../streams.ts";

/** Shows a code to type on any device and waits until that was done. Throws RelayError. */
export async function signInWithDevice(service: LoginService): Promise<IssuedTokens> {
  const device = await requestDeviceCode(service, Date.now());
  say("Sign in on any device:");
  say(`  page   ${device.url}`);
  say(`  code   ${device.userCode}   (good for ${span(device.expiresAtMs - Date.now())})`);
  say("Type it only if you began this sign-in yourself.");
  const countdown = isStderrTerminal();
  if (!countdown) say("Waiting for the code to be entered …");
  const tokens = await awaitDevice(service, device, {
    now: Date.now,
    sleep: (ms) => Bun.sleep(ms),
    onWait: (leftMs) => {
      if (countdown) stderr().write(`\r  waiting, ${span(leftMs)} left …    `);
    },
  });
  if (countdown) stderr().write("\r\u001b[K");
  return tokens;
}
