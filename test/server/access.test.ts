import { describe, expect, test } from "bun:test";
import type { RelayError } from "../../src/lib/errors.ts";
import { corsHeaders, AccessCheck, preflightHeaders } from "../../src/server/access.ts";

const OPEN = { host: "127.0.0.1", apiKey: undefined, allowHosts: [], corsOrigins: [] };

function codeOf(access: AccessCheck, headers: Record<string, string>, isOpen = false): string {
  try {
    access.admit(new Headers(headers), isOpen);
    return "in";
  } catch (error) {
    return (error as RelayError).code;
  }
}

describe("Host", () => {
  test.each([
    ["127.0.0.1:8787", "in"],
    ["localhost", "in"],
    ["LOCALHOST:1", "in"],
    ["app.localhost:8787", "in"],
    ["[::1]:8787", "in"],
    ["127.9.9.9", "in"],
    ["localhost.", "in"],
    ["evil.example", "host_not_allowed"],
    ["127.0.0.1.evil.example", "host_not_allowed"],
    ["localhost.evil.example:8787", "host_not_allowed"],
    ["192.168.1.5:8787", "host_not_allowed"],
    ["0.0.0.0:8787", "host_not_allowed"],
    ["", "host_not_allowed"],
    ["127.0.0.1@evil.example", "host_not_allowed"],
    ["a b", "host_not_allowed"],
  ])("%s: %s", (host, expected) => {
    expect(codeOf(new AccessCheck(OPEN), { host })).toBe(expected);
    expect(codeOf(new AccessCheck(OPEN), { host }, true)).toBe(expected);
  });

  test("a name that the owner allowed, and the address that was bound by hand, are fine", () => {
    const access = new AccessCheck({ ...OPEN, host: "192.168.1.5", allowHosts: ["relay.home", "with-port:99"] });
    expect(["relay.home:8787", "192.168.1.5:8787", "with-port"].map((host) => codeOf(access, { host }))).toEqual([
      "in",
      "in",
      "in",
    ]);
    expect(codeOf(access, { host: "other.home" })).toBe("host_not_allowed");
  });
});

test("an allowed name that is none lets no Host in that is none", () => {
  const access = new AccessCheck({ ...OPEN, allowHosts: ["http://relay.home", ""] });
  expect(["", "a:b:c", "127.0.0.1, page.example"].map((host) => codeOf(access, { host }))).toEqual([
    "host_not_allowed",
    "host_not_allowed",
    "host_not_allowed",
  ]);
});

describe("a web page", () => {
  const host = "127.0.0.1:8787";
  const access = new AccessCheck({ ...OPEN, corsOrigins: ["https://app.example"] });

  test.each([
    [{ origin: "https://evil.example" }, "origin_not_allowed"],
    [{ origin: "null" }, "origin_not_allowed"],
    [{ origin: "http://127.0.0.1:3000" }, "origin_not_allowed"],
    [{ origin: "https://app.example.evil" }, "origin_not_allowed"],
    [{ origin: "https://app.example" }, "in"],
    [{ origin: "https://APP.example" }, "in"],
    [{ origin: "http://127.0.0.1:8787" }, "in"],
    [{ "sec-fetch-site": "cross-site" }, "origin_not_allowed"],
    [{ "sec-fetch-site": "same-site" }, "origin_not_allowed"],
    [{ "sec-fetch-site": "none" }, "in"],
    [{ "sec-fetch-site": "same-origin" }, "in"],
    [{ "sec-fetch-site": "something-new" }, "origin_not_allowed"],
    [{ origin: "http://127.0.0.1:8787", "sec-fetch-site": "same-origin" }, "in"],
    [{ origin: "http://127.0.0.1:8787", "sec-fetch-site": "cross-site" }, "origin_not_allowed"],
    [{ origin: "http://127.0.0.1:8787", "sec-fetch-site": "same-site" }, "origin_not_allowed"],
    [{ "sec-fetch-mode": "cors" }, "in"],
    [{ origin: "https://app.example", "sec-fetch-site": "cross-site" }, "in"],
  ])("%j: %s", (headers, expected) => {
    expect(codeOf(access, { host, ...headers })).toBe(expected);
  });

  test("gets CORS headers for its own origin only when it is allowed", () => {
    expect(corsHeaders(access.admit(new Headers({ host }), false))).toEqual({});
    const caller = access.admit(new Headers({ host, origin: "https://app.example" }), false);
    expect(corsHeaders(caller)["access-control-allow-origin"]).toBe("https://app.example");
    const headers = preflightHeaders(
      caller,
      new Headers({
        "access-control-request-private-network": "true",
        "access-control-request-headers": "authorization,x-a",
      }),
      "POST",
    );
    expect(headers["access-control-allow-private-network"]).toBe("true");
    expect(headers["access-control-allow-headers"]).toBe("authorization,x-a");
  });
});

describe("the key", () => {
  const host = "localhost";
  const access = new AccessCheck({ ...OPEN, apiKey: "right" });

  test.each([
    [{}, "invalid_api_key"],
    [{ authorization: "Bearer wrong" }, "invalid_api_key"],
    [{ authorization: "Bearer " }, "invalid_api_key"],
    [{ authorization: "Basic right" }, "invalid_api_key"],
    [{ authorization: "Bearer rightx" }, "invalid_api_key"],
    [{ authorization: "Bearer right" }, "in"],
    [{ authorization: "bearer right" }, "in"],
    [{ "x-api-key": "right" }, "in"],
    [{ "x-api-key": "wrong" }, "invalid_api_key"],
    [{ authorization: "Bearer wrong", "x-api-key": "right" }, "in"],
    [{ authorization: "Bearer right", "x-api-key": "wrong" }, "in"],
    [{ authorization: "Bearer wrong", "x-api-key": "wrong" }, "invalid_api_key"],
    [{ authorization: "Basic x", "x-api-key": "right" }, "in"],
  ])("%j: %s", (headers, expected) => {
    expect(codeOf(access, { host, ...headers })).toBe(expected);
  });

  test("is not asked for on open routes, and never repeated in the refusal", () => {
    expect(codeOf(access, { host }, true)).toBe("in");
    try {
      access.admit(new Headers({ host, authorization: "Bearer hunter2" }), false);
    } catch (error) {
      expect(`${(error as RelayError).message} ${(error as RelayError).hint}`).not.toContain("hunter2");
      expect((error as RelayError).headers["www-authenticate"]).toBe("Bearer");
    }
  });

  test("tells clients apart without being told itself", () => {
    const { key } = access.admit(new Headers({ host, authorization: "Bearer right" }), false);
    expect(key?.id).toMatch(/^[0-9a-f]{16}$/);
    expect(key?.name).toBe("owner");
  });
});
