/** Times of clients: one parser for bodies and parameters, and nothing is taken for another time than it says. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { timestampOf, timestampOfParameter } from '../../../../shared/protocol/timestamp.ts';
import { parseWrite } from '../../../../shared/protocol/writes.ts';

const day = Date.UTC(2026, 1, 28);

describe('times', () => {
  for (const text of [
    '2026-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-06-31T12:00:00+02:00',
    '2026-01-32T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-02-28T24:00:00Z',
    '2026-02-28T25:00:00Z',
    '2026-02-28T00:60:00Z',
    '2026-02-28T00:00:61Z',
    '2016-12-31T23:59:60Z',
    '2026-02-28T00:00:00+25:00',
    '2026-02-28T00:00:00+24:00',
    '2026-02-28T00:00:00-00:60',
    '2026-02-28T00:00:00',
    '2026-02-28',
    '2026-02-28T00:00Z',
    '26-02-28T00:00:00Z',
    '+002026-02-28T00:00:00Z',
    '2026-02-28T00:00:00.Z',
    '2026-02-28T00:00:00.1234567890Z',
    '2026-02-28T00:00:00 02:00',
    ' 2026-02-28T00:00:00Z',
    '2026-02-28T00:00:00Z ',
    'Sat, 28 Feb 2026 00:00:00 GMT',
    '1772236800000',
    '',
  ]) {
    it(`"${text}" is no time of a body`, () => {
      assert.match(String(timestampOf(text)), /^must be an RFC 3339 time or integer milliseconds/);
      if (/^\d{13}$| 02:00$/.test(text)) return;
      assert.equal(typeof timestampOfParameter(text), 'string', 'nor of a parameter');
    });
  }

  it('a time before 1970 is refused in any spelling', () => {
    for (const text of [
      '1969-12-31T23:59:59.999Z',
      '1970-01-01T00:00:00+00:01',
      '0000-01-01T00:00:00Z',
      '0099-01-01T00:00:00Z',
    ]) {
      assert.match(String(timestampOf(text)), /from 1970 on/, text);
      assert.match(String(timestampOfParameter(text)), /from 1970 on/, text);
    }
    assert.equal(timestampOf('1969-12-31T23:00:00-01:00'), 0);
  });

  it('RFC 3339 has many spellings of one time', () => {
    for (const text of [
      '2026-02-28T00:00:00Z',
      '2026-02-28t00:00:00z',
      '2026-02-28 00:00:00Z',
      '2026-02-28T00:00:00.000999999Z',
      '2026-02-28T00:00:00-00:00',
      '2026-02-28T02:30:00+02:30',
      '2026-02-27T16:00:00-08:00',
      '2026-02-28T23:59:00+23:59',
    ]) {
      assert.equal(timestampOf(text), day, text);
      assert.equal(timestampOfParameter(text), day, text);
      assert.equal(timestampOfParameter(text.replace('+', ' ')), day, 'a plus that was not percent-encoded');
    }
    assert.equal(timestampOf('2024-02-29T00:00:00Z'), Date.UTC(2024, 1, 29));
    assert.equal(timestampOf('2000-02-29T00:00:00Z'), Date.UTC(2000, 1, 29));
    assert.equal(
      timestampOf('1985-04-12T23:20:50.52Z'),
      Date.UTC(1985, 3, 12, 23, 20, 50, 520),
      'years before 2000 too',
    );
    assert.equal(timestampOf('9999-12-31T23:59:59.999Z'), 253_402_300_799_999);
  });

  it('seconds and microseconds are refused where milliseconds are meant, and the message says which', () => {
    for (const [value, says] of [
      [1_768_507_200, /milliseconds.*as seconds are.*RFC 3339/],
      [0, /as seconds are/],
      [946_684_799_999, /as seconds are/],
      [1_768_507_200_000_000, /milliseconds.*as microseconds are/],
      [Number.MAX_SAFE_INTEGER, /as microseconds are/],
      [253_402_300_800_000, /as microseconds are/],
      [-1, /milliseconds/],
      [1_768_507_200_000.5, /integer milliseconds/],
      [Number.NaN, /milliseconds/],
      [Number.POSITIVE_INFINITY, /milliseconds/],
    ] as const) {
      assert.match(String(timestampOf(value)), says, String(value));
      if (Number.isSafeInteger(value) && value >= 0) assert.match(String(timestampOfParameter(String(value))), says);
    }
    for (const value of [946_684_800_000, 1_768_507_200_000, 253_402_300_799_999]) {
      assert.equal(timestampOf(value), value);
      assert.equal(timestampOfParameter(String(value)), value);
    }
    for (const value of [null, true, [], {}, new Date()]) assert.equal(typeof timestampOf(value), 'string');
  });

  it('every time of four-digit years is parsed from what JavaScript writes of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (timeMs) => {
        const text = new Date(timeMs).toISOString();
        assert.equal(timestampOf(text), timeMs);
        assert.equal(timestampOfParameter(text), timeMs);
      }),
    );
  });
});

describe('weights', () => {
  const weightOf = (weight: number): unknown => {
    const write = parseWrite('signals', { entity_id: 1, signal: 'view', weight });
    return write.kind === 'signal' ? write.weight : undefined;
  };

  it('a weight off its step of 0.001 is refused, not rounded', () => {
    for (const weight of [0.0005, 0.0001, 0.0014, 1.0005, 0.1234, 9_999.9999, 1e-13, 5e-324, 3.0000001, 0.000_999_9]) {
      assert.throws(() => weightOf(weight), /weight must be a multiple of 0\.001/, String(weight));
    }
  });

  it('what floating-point arithmetic leaves of a multiple is the multiple', () => {
    assert.equal(weightOf(0.1 + 0.2), 300);
    assert.equal(weightOf(1 - 0.9), 100);
    assert.equal(weightOf(4.35 * 100), 435_000);
    assert.equal(weightOf(0.001 * 3), 3);
    assert.equal(weightOf(0), 0);
    let sum = 0;
    for (let count = 1; count <= 1_000; count++) {
      sum += 0.1;
      assert.equal(weightOf(sum), count * 100);
    }
  });

  it('every multiple is taken, as a quotient and as a product', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (thousandths) => {
        assert.equal(weightOf(thousandths / 1_000), thousandths);
        if (thousandths < 10_000_000) assert.equal(weightOf(thousandths * 0.001), thousandths);
      }),
    );
  });
});
