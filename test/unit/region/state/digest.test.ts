import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createDigest, type DigestPart } from '../../../../services/region/state/digest.ts';

function digestOf(...values: readonly (readonly [number, readonly DigestPart[]])[]): string {
  const digest = createDigest();
  for (const [entity, parts] of values) digest.add(entity, parts);
  return digest.hex();
}

describe('state digest', () => {
  it('is zero for an empty state', () => {
    assert.equal(createDigest().hex(), '0'.repeat(32));
  });

  it('is the first 128 bits of SHA-256 over the documented bytes', () => {
    const bytes = Buffer.alloc(8 + 4 + 1 + 8 + 1 + 4 + 2);
    let at = bytes.writeDoubleBE(7, 0);
    at = bytes.writeUInt32BE(2, at);
    at = bytes.writeUInt8(1, at);
    at = bytes.writeDoubleBE(1.5, at);
    at = bytes.writeUInt8(2, at);
    at = bytes.writeUInt32BE(2, at);
    bytes.writeUInt16LE('a'.charCodeAt(0), at);
    assert.equal(digestOf([7, [1.5, 'a']]), createHash('sha256').update(bytes).digest('hex').slice(0, 32));
  });

  it('does not depend on the order of values', () => {
    const a = [1, ['view', 3]] as const;
    const b = [2, ['like', 4n]] as const;
    const c = [2, ['like', new Uint8Array([4])]] as const;
    assert.equal(digestOf(a, b, c), digestOf(c, a, b));
    assert.notEqual(digestOf(a, b), digestOf(a, c));
  });

  it('adds modulo 2^128', () => {
    const sum = (BigInt(`0x${digestOf([1, []])}`) + BigInt(`0x${digestOf([2, []])}`)) % (1n << 128n);
    assert.equal(digestOf([1, []], [2, []]), sum.toString(16).padStart(32, '0'));
  });

  it('distinguishes what a careless encoding would confuse', () => {
    const lists: DigestPart[][] = [
      [],
      [''],
      ['', ''],
      ['ab'],
      ['a', 'b'],
      ['ab', ''],
      [1],
      ['1'],
      [1n],
      [new Uint8Array([1])],
      [0],
      [-0],
      ['\ud800'],
      ['\udc00'],
      [2 ** 53],
      [2n ** 53n + 1n],
      [-1n],
      ['x'.repeat(5000)],
      ['x'.repeat(5001)],
    ];
    const digests = new Set(lists.map((parts) => digestOf([1, parts])));
    assert.equal(digests.size, lists.length);
    assert.notEqual(digestOf([1, [2]]), digestOf([2, [1]]));
  });
});
