import { z } from "zod";
import { emptyReplyError, postToService, refusalOf, type LoginService } from "./login-service.ts";

/** The tokens of a new login. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly idToken: string;
}

const Reply = z.looseObject({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  id_token: z.string().min(1),
});

/** Redeems an authorization code; the service takes a form here and nothing else. Throws RelayError. */
export async function exchangeCode(
  service: LoginService,
  grant: { readonly code: string; readonly redirectUri: string; readonly verifier: string },
): Promise<IssuedTokens> {
  const reply = await postToService(service, `${service.issuer}/oauth/token`, {
    form: {
      grant_type: "authorization_code",
      client_id: service.clientId,
      code: grant.code,
      redirect_uri: grant.redirectUri,
      code_verifier: grant.verifier,
    },
  });
  if (reply.status !== 200) throw refusalOf(reply, "the sign-in's code", "Run `plansocket login` again.");
  const tokens = Reply.safeParse(reply.body);
  if (!tokens.success) {
    throw emptyReplyError(
      reply,
      "The login service answered without a full set of tokens.",
      "Run `plansocket login` again.",
    );
  }
  const { access_token: accessToken, refresh_token: refreshToken, id_token: idToken } = tokens.data;
  return { accessToken, refreshToken, idToken };
}
