/** Rows of the table of idempotency keys: they decode to what was encoded, and damage is detected. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeCopies, KeyRow, type WriteCopy } from '../../services/region/wal/key-rows.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { TIME_LIMIT_MS } from '../../shared/protocol/events.ts';

const someHash = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
const someValues = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const someTimeMs = fc.oneof(
  fc.integer({ min: 0, max: TIME_LIMIT_MS }),
  fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
  fc.constantFrom(0, TIME_LIMIT_MS),
);

/** Any possible copy. */
const someCopy = fc
  .record({
    origin: fc.constantFrom('us-east@aaaaaaaaaa', 'eu-west@bbbbbbbbbbbbb', `${'r'.repeat(32)}@${'z'.repeat(32)}`),
    epoch: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom(2 ** 40, Number.MAX_SAFE_INTEGER)),
    sequence: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 1 })),
    index: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
    times: fc.tuple(someTimeMs, someTimeMs),
    bodyHash: someHash,
    values: fc.option(someValues, { nil: undefined }),
    isRetraction: fc.constantFrom(false, false, true),
  })
  .map(({ times, isRetraction, values, ...rest }): WriteCopy => {
    const copy = values === undefined ? rest : { ...rest, values };
    const [earlierMs, laterMs] = times.sort((a, b) => a - b) as [number, number];
    return isRetraction
      ? { ...copy, acceptedMs: earlierMs, timeMs: laterMs, isRetraction }
      : { ...copy, acceptedMs: laterMs, timeMs: earlierMs };
  });

/** Parts of bulks: consecutive writes at consecutive sequences, with mostly ascending acceptance times. */
const somePart = fc
  .tuple(
    someCopy,
    fc.array(fc.tuple(fc.constantFrom(0, 0, 1, 40_000, 70_000, -1), fc.nat(5_000), someHash), { maxLength: 20 }),
  )
  .map(([first, more]) => {
    let { acceptedMs } = first;
    const copies = [first];
    for (const [offset, [gapMs, ageMs, bodyHash]] of more.entries()) {
      acceptedMs = Math.max(0, acceptedMs + gapMs);
      copies.push({
        ...first,
        index: Math.min(first.index + offset + 1, 2 ** 32 - 1),
        sequence: Math.min(first.sequence + offset + 1, Number.MAX_SAFE_INTEGER - 1),
        ...{ acceptedMs, timeMs: Math.max(0, acceptedMs + (first.isRetraction ? ageMs : -ageMs)), bodyHash },
      });
    }
    return copies;
  });

const someAppends = fc.array(
  fc.array(
    fc.oneof(
      somePart,
      someCopy.map((copy) => [copy]),
    ),
    { minLength: 1, maxLength: 4 },
  ),
  { minLength: 1, maxLength: 4 },
);

function bulk(count: number): WriteCopy[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ origin: 'us-east@aaaaaaaaaaaaa', epoch: 3, sequence: 1_000 + index, index, bodyHash: 'AAAAAAAAAAA' },
    acceptedMs: 1_700_000_000_000 + (index >> 11),
    timeMs: 0,
  }));
}

describe('rows of idempotency keys', () => {
  it('whatever is appended is read back, all of it and by write', () => {
    fc.assert(
      fc.property(someAppends, (appends) => {
        const all = appends.flat(2);
        const row = new KeyRow(Buffer.concat(appends.map((parts) => encodeCopies(parts.flat()))));
        assert.deepEqual([...row.copies()], all);
        for (const { index } of all) {
          const own = all.filter((copy) => copy.index === index).map(({ index: _, ...copy }) => copy);
          assert.deepEqual(row.copiesOf(index), own);
        }
        for (const index of [0, 2 ** 32 - 1]) {
          if (!all.some((copy) => copy.index === index)) assert.deepEqual(row.copiesOf(index), []);
        }
      }),
    );
  });

  it('a row is old once each of its copies is, and below what is given of its origin', () => {
    fc.assert(
      fc.property(someAppends, fc.nat(), fc.constantFrom(0, 1), fc.boolean(), (appends, choice, more, isCovered) => {
        const all = appends.flat(2);
        const row = new KeyRow(encodeCopies(all));
        const { acceptedMs, origin, sequence } = all[choice % all.length]!;
        const beforeMs = acceptedMs + more;
        const upTo = (name: string): number => (name === origin && !isCovered ? sequence - 1 : Number.MAX_SAFE_INTEGER);
        const isOlder = all.every((copy) => copy.acceptedMs < beforeMs && copy.sequence <= upTo(copy.origin));
        assert.equal(row.isOlder(beforeMs, upTo), isOlder);
      }),
    );
  });

  it('a bulk takes 16 bytes a write, one of signals 24, whatever the times of its events', () => {
    const headBytes = 34 + 'us-east@aaaaaaaaaaaaa'.length;
    assert.equal(encodeCopies(bulk(20_000)).length, 320_000 + headBytes);
    const signals = bulk(20_000).map((copy) => ({ ...copy, values: '0123456789abcdef' }));
    assert.equal(encodeCopies(signals).length, 480_000 + headBytes);
  });

  it('what is no row is refused with a sentence, never misread', () => {
    const row = encodeCopies(bulk(3));
    const refused = (bytes: Uint8Array, why: RegExp): void => {
      assert.throws(
        () => new KeyRow(bytes),
        (error) => error instanceof Fault && error.code === 'damaged_log' && why.test(error.message),
      );
    };
    refused(Buffer.of(), /it is empty/);
    refused(
      Buffer.from('[["us-east@aaaaaaaaaa",1,1,0,0,"AAAAAAAAAAA"]]'),
      /at byte 0 of 46: a run of form 91; forms 1 to 4 are known/,
    );
    refused(row.subarray(0, 33), /ends within the head of a run/);
    refused(row.subarray(0, -1), /ends within the 3 copies of a run/);
    refused(Buffer.concat([row, row.subarray(0, 20)]), new RegExp(`at byte ${row.length} of ${row.length + 20}`));
    const changed = (change: (bytes: Buffer) => void): Buffer => {
      const bytes = Buffer.from(row);
      change(bytes);
      return bytes;
    };
    refused(
      changed((bytes) => bytes.writeUInt32LE(0, 30)),
      /a run without copies/,
    );
    for (const at of [6, 14, 22]) {
      for (const value of [Number.NaN, 0.5, Number.POSITIVE_INFINITY]) {
        refused(
          changed((bytes) => bytes.writeDoubleLE(value, at)),
          /out of range/,
        );
      }
    }
    for (let length = 0; length < row.length; length++) refused(row.subarray(0, length), /./);
  });
});
