import assert from 'node:assert/strict';
import { DigestSum } from '../../../../../services/region/state/digest/value-hash.ts';
import { murmur3 } from '../../../../harness/region/state/murmur3.ts';

type Part = string | number | bigint | Uint8Array;
type Value = readonly [entity: number, parts: readonly Part[]];

function add(sum: DigestSum, [entity, parts]: Value): void {
  sum.begin(entity);
  for (const part of parts) {
    if (typeof part === 'string') sum.text(part);
    else if (typeof part === 'object') sum.bytes(part);
    else sum.number(part);
  }
  sum.end();
}

function digestOf(...values: readonly Value[]): string {
  const sum = new DigestSum();
  for (const value of values) add(sum, value);
  return sum.hex();
}

function hexOf(words: readonly number[]): string {
  return words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

describe('state digest', () => {
  it('the reference of its hash gives what is published', () => {
    const published = {
      '': '00000000000000000000000000000000',
      'The quick brown fox jumps over the lazy dog': '2f1583c3ecee2c675d7bf66ce5e91d2c',
    };
    for (const [text, hash] of Object.entries(published)) assert.equal(hexOf(murmur3(Buffer.from(text))), hash);
  });

  it('is zero for an empty state', () => {
    assert.equal(new DigestSum().hex(), '0'.repeat(32));
  });

  it('is the hash of the documented bytes', () => {
    const bytes = Buffer.alloc(9 * 8 + 8);
    const head = (at: number, type: number, length: number): void => {
      bytes.writeUInt32LE(length, at);
      bytes.writeUInt32LE(0xfff80000 + type, at + 4);
    };
    bytes.writeDoubleLE(7, 0);
    bytes.writeDoubleLE(1.5, 8);
    head(16, 1, 2);
    bytes.write('a', 24, 'utf16le');
    head(32, 2, 1);
    bytes.write('f', 40, 'latin1');
    head(48, 3, 1);
    bytes[56] = 9;
    head(64, 0, 0);
    assert.equal(digestOf([7, [1.5, 'a', 15n, Uint8Array.of(9)]]), hexOf(murmur3(bytes)));
  });

  it('does not depend on the order of values', () => {
    const a = [1, ['view', 3]] as const;
    const b = [2, ['like', 4n]] as const;
    const c = [2, ['like', new Uint8Array([4])]] as const;
    assert.equal(digestOf(a, b, c), digestOf(c, a, b));
    assert.notEqual(digestOf(a, b), digestOf(a, c));
  });

  it('a value that is taken out leaves nothing behind', () => {
    const sum = new DigestSum();
    add(sum, [1, ['view', 3]]);
    add(sum, [2, ['x'.repeat(5_000)]]);
    sum.takes = true;
    add(sum, [1, ['view', 3]]);
    assert.equal(sum.hex(), digestOf([2, ['x'.repeat(5_000)]]));
  });

  it('adds each word modulo 2^32', () => {
    const words = (hex: string): number[] => hex.match(/.{8}/g)!.map((word) => Number.parseInt(word, 16));
    const values = Array.from({ length: 9 }, (_, entity): Value => [entity, []]);
    const sums = [0, 0, 0, 0];
    for (const value of values) for (const [index, word] of words(digestOf(value)).entries()) sums[index]! += word;
    assert.ok(sums.every((sum) => sum >= 2 ** 32));
    assert.equal(digestOf(...values), hexOf(sums.map((sum) => sum % 2 ** 32)));
  });

  it('distinguishes what a careless encoding would confuse', () => {
    const lists: Part[][] = [
      [],
      [''],
      ['', ''],
      ['ab'],
      ['a', 'b'],
      ['ab', ''],
      ['ab\0'],
      ['abcd', 'e'],
      [1],
      ['1'],
      [1n],
      [new Uint8Array([1])],
      [new Uint8Array([1, 0])],
      [new Uint8Array(0)],
      [0],
      [0, 0],
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
