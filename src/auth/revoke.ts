import { postToService, type LoginService } from "./login-service.ts";
import type { Tokens } from "./sources/source.ts";

const TIMEOUT_MS = 10_000;

/** Ends a login at the service. False when the service did not confirm it; that is no reason to keep the file. */
export async function revoke(service: LoginService, tokens: Tokens): Promise<boolean> {
  const json =
    tokens.refreshToken === undefined
      ? { token: tokens.accessToken, token_type_hint: "access_token" }
      : { token: tokens.refreshToken, token_type_hint: "refresh_token", client_id: service.clientId };
  try {
    const reply = await postToService(service, service.revokeUrl, { json }, AbortSignal.timeout(TIMEOUT_MS));
    return reply.status >= 200 && reply.status < 300;
  } catch {
    return false;
  }
}
