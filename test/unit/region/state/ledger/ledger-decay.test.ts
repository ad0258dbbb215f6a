import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { bucketSum, Decay, sortKey } from '../../../../../services/region/state/ledger/decay/decay.ts';
import { exp2, log2, steps } from '../../../../../services/region/state/ledger/decay/powers-of-two.ts';

const HOUR_MS = 3_600_000;

function close(actual: number, expected: number, relative: number): void {
  assert.ok(Math.abs(actual - expected) <= relative * Math.abs(expected), `${actual} is not close to ${expected}`);
}

describe('powers of two', () => {
  // The hash of the correctly rounded 2^(j/1024), computed apart from this code with 60 decimal digits.
  it('has the same table bits on every engine', () => {
    const bytes = Buffer.alloc(steps.length * 8);
    for (const [index, value] of steps.entries()) bytes.writeDoubleBE(value, index * 8);
    assert.equal(createHash('sha256').update(bytes).digest('hex').slice(0, 32), '2976956999e70be91119de72d9c50f99');
  });

  it('is exact at whole exponents and correct at known roots', () => {
    for (const whole of [-1074, -1022, -1, 0, 1, 7, 52, 1023]) assert.equal(exp2(whole), 2 ** whole);
    assert.equal(exp2(0.5), Math.SQRT2);
    assert.equal(exp2(-0.5), Math.SQRT1_2);
    close(exp2(0.1), 1.0717734625362931, 5e-16);
    close(exp2(7.999), 255.82261580555578, 5e-16);
    assert.equal(exp2(-1075), 0);
    assert.equal(exp2(1024), Number.POSITIVE_INFINITY);
    assert.equal(exp2(-Number.MIN_VALUE), 1);
  });

  it('never falls when the exponent rises', () => {
    let before = exp2(-1);
    for (let index = 1; index <= 20_000; index++) {
      const value = exp2(-1 + index / 5_000);
      assert.ok(value > before, `at ${index}`);
      before = value;
    }
  });

  it('takes logarithms back', () => {
    assert.equal(log2(1), 0);
    assert.equal(log2(1024), 10);
    close(log2(3), 1.584962500721156, 4e-16);
    close(log2(1000), 9.965784284662087, 4e-16);
    close(log2(1 / 3), -1.584962500721156, 4e-16);
    for (let exponent = -30; exponent < 30; exponent += 0.37) close(log2(exp2(exponent)), exponent, 1e-13);
  });
});

describe('decay buckets', () => {
  // One hour of half-life: a decay bucket is eight hours.
  const decay = new Decay(3600);

  it('adds round(w · 1024 · 2^x), x the half-lives since the bucket began', () => {
    assert.equal(decay.bucketOf(8 * HOUR_MS - 1), 0);
    assert.equal(decay.bucketOf(8 * HOUR_MS), 1);
    assert.equal(decay.contribution(1000, 0, 0), 1_024_000);
    assert.equal(decay.contribution(1000, HOUR_MS, 0), 2_048_000);
    assert.equal(decay.contribution(1000, 8 * HOUR_MS + 3 * HOUR_MS, 1), 8_192_000);
    // 1,024,000 · √2 = 1,448,154.69
    assert.equal(decay.contribution(1000, HOUR_MS / 2, 0), 1_448_155);
    assert.equal(decay.contribution(0, HOUR_MS, 0), 0);
    // One 53-bit sum holds thousands of the heaviest events at the very end of a bucket.
    assert.ok(decay.contribution(10_000_000, 8 * HOUR_MS - 1, 0) < 2 ** 42);
  });

  it('halves with every half-life', () => {
    const sum = bucketSum(decay.contribution(1000, 0, 0), 0, 0, 0);
    assert.equal(decay.score(0, sum, 0), 1);
    assert.equal(decay.score(0, sum, HOUR_MS), 0.5);
    assert.equal(decay.score(0, sum, 10 * HOUR_MS), 1 / 1024);
  });

  it('weighs a bucket 256 times less than the next', () => {
    assert.equal(bucketSum(256, 256, 256 * 256, 256 ** 3), 256 + 1 + 1 + 1);
  });

  it('stays finite however early the read time is', () => {
    assert.equal(decay.score(1_000_000, 1_024_000, 0), Number.MAX_VALUE);
    assert.equal(decay.score(0, 1_024_000, 1e15), 0);
  });

  it('sorts by a key that does not depend on the read time', () => {
    // 2^10 thousandths-at-scale in bucket 5: 8 · 5 + 10.
    assert.equal(sortKey(5, 1024), 50);
    assert.equal(sortKey(5, 0), Number.NEGATIVE_INFINITY);
    // One event eight half-lives later equals 256 events at once.
    assert.equal(sortKey(1, 1_024_000), sortKey(0, 256 * 1_024_000));
  });
});
