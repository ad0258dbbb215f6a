/** The network of a client by its address: a site with IPv6 has 2⁶⁴ addresses, all of one client. */
import { isIPv6 } from 'node:net';

const GROUPS = 8;
/** A /64, the smallest network that a site is given. */
const NETWORK_GROUPS = 4;

/** An IPv4 address as it is, also one in an IPv6 address; the /64 of any other IPv6 address. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(GROUPS - left.length - right.length).fill('0');
  const groups = tail === undefined ? left : [...left, ...zeros, ...right];
  const network = groups.slice(0, NETWORK_GROUPS).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
