import { expect, it } from "vitest";
import { networkOf } from "../../signaling/visitor.ts";

it.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["2001:db8:0:42:1:2:3:4", "2001:db8:0:42::/64"],
  ["2001:0DB8:0000:0042::9", "2001:db8:0:42::/64"],
  ["2001:db8::42:1:2:3:4", "2001:db8:0:42::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["", ""],
])("networkOf(%s) is %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
