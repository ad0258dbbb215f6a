/** All addresses of one IPv6 network are one client; IPv4 addresses are one each. */
import assert from 'node:assert/strict';
import { networkOf } from '../../../../services/router/http/client-network/client-network.ts';

describe('the network of a client', () => {
  for (const [address, network] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['64:ff9b::203.0.113.7', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ] as const) {
    it(`of ${address === '' ? 'no address' : address}`, () => assert.equal(networkOf(address), network));
  }
});
