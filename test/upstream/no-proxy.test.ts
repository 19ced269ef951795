import { expect, test } from "bun:test";
import { noProxyMatcher } from "../../src/upstream/no-proxy.ts";

test.each([
  ["example.com", "example.com", "443", true],
  ["example.com", "api.example.com", "443", true],
  [".example.com", "api.example.com", "443", true],
  ["*.example.com", "api.example.com", "443", true],
  ["example.com", "notexample.com", "443", false],
  ["example.com", "example.com.evil.test", "443", false],
  ["EXAMPLE.com.", "example.COM", "443", true],
  ["a.test b.test,\tc.test", "b.test", "443", true],
  ["example.com:8443", "example.com", "8443", true],
  ["example.com:8443", "example.com", "443", false],
  ["*", "anything.test", "443", true],
  ["", "anything.test", "443", false],
  [",, .", "anything.test", "443", false],
  ["10.0.0.0/8", "10.200.3.4", "443", true],
  ["10.0.0.0/8", "11.0.0.1", "443", false],
  ["10.0.0.0/8", "ten.test", "443", false],
  ["10.0.0.0/40", "10.0.0.1", "443", false],
  ["192.168.1.7", "192.168.1.7", "443", true],
  ["192.168.1.7:8080", "192.168.1.7", "443", false],
  ["192.168.1.7", "7.192.168.1.7", "443", false],
  ["fd00::/8", "[fd12::7]", "443", true],
  ["fd00::/8", "2001:db8::1", "443", false],
  ["[2001:db8::1]:8443", "[2001:db8:0::1]", "8443", true],
  ["[2001:db8::1]:8443", "[2001:db8::1]", "443", false],
  ["2001:db8::1", "2001:db8::1", "443", true],
])("NO_PROXY=%j and the host %s on port %s: exempt %p", (list, host, port, isExempt) => {
  expect(noProxyMatcher(list)(host, port)).toBe(isExempt);
});
