/** What looks like a secret wherever it stands: bearer values, JSON web tokens, API keys, refresh tokens. */
const SECRET =
  /\bBearer\s+[\w.~+/=-]{8,}|\beyJ(?:(?!-eyJ)[\w-]){8,}\.[\w-]+(?:\.[\w-]*)?|\bsk-[\w-]{16,}|\bplsk_[\w-]{16,}|\brt[._-][\w.-]{16,}|(?<=:\/\/)[^\s/@:]+:[^\s/@]+(?=@)/gi;

/** A shorter key guards nothing, and taking it out would tear up every line. */
const SHORTEST = 4;

/** The text without anything that looks like a token or is one of `secrets`. */
export function redact(text: string, secrets: readonly string[] = []): string {
  let shown = text.replace(SECRET, "[secret]");
  for (const secret of secrets) if (secret.length >= SHORTEST) shown = shown.replaceAll(secret, "[secret]");
  return shown;
}
