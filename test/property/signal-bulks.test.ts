/** Bulks of signals by column are what the same signals are one by one: read from lines, on the wire, in the log. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Batch, decodeBatch, NO_PREDECESSOR } from '../../services/region/batch/batch.ts';
import { BatchBuilder } from '../../services/region/intake/batch-builder.ts';
import { readSignalLines } from '../../services/router/http/signal-lines.ts';
import { Refusal } from '../../shared/errors/errors.ts';
import { decodeText } from '../../shared/http/http-body.ts';
import { parseJson } from '../../shared/http/json-text.ts';
import { type Event, HLC_PER_MS } from '../../shared/protocol/events.ts';
import { unpackSignals } from '../../shared/protocol/packed-signals.ts';
import { parseWrite, toWire } from '../../shared/protocol/writes.ts';
import { columnsOf, packedOf, type WireSignal, wireSignals } from '../harness/clients/wire-signals.ts';

const startMs = 1_750_000_000_000;
const header = { origin: 'us-east@aaaaaaaaaa', epoch: 3, first: 7, schemaHash: 'f'.repeat(16), chain: NO_PREDECESSOR };

const signal: fc.Arbitrary<WireSignal> = fc
  .record({
    e: fc.oneof(fc.maxSafeNat(), fc.nat(300)),
    s: fc.constantFrom('view', 'like', 'ü'.repeat(20)),
    w: fc.oneof(fc.integer({ min: 0, max: 10_000_000 }), fc.constant(1_000)),
    t: fc.option(fc.oneof(fc.integer({ min: 0, max: 2 ** 41 }), fc.integer({ min: startMs - 5, max: startMs + 5 })), {
      nil: undefined,
    }),
  })
  .map(({ e, s, w, t }) => (t === undefined ? { k: 's', e, s, w } : { k: 's', e, s, w, t }));

function stamped({ e, s, w, t }: WireSignal, hlc: number): Event {
  const acceptedMs = Math.floor(hlc / HLC_PER_MS);
  return { kind: 'signal', hlc, entity: e, signal: s, weight: w, timeMs: Math.min(t ?? acceptedMs, acceptedMs) };
}

/** The columns of a batch as events, without clock values. */
function told({ signals }: Batch): unknown {
  assert.ok(signals !== undefined, 'a batch of signals has columns');
  return wireSignals(signals);
}

const toldOf = (events: readonly Event[]): unknown =>
  events.map((event) => {
    assert.equal(event.kind, 'signal');
    return event.kind === 'signal' && { k: 's', e: event.entity, s: event.signal, w: event.weight, t: event.timeMs };
  });

describe('bulks of signals', () => {
  it('on the wire: come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(signal, { minLength: 1, maxLength: 50 }), (signals) => {
        assert.deepEqual(wireSignals(unpackSignals(packedOf(signals))), signals);
      }),
    );
  });

  it('on the wire: what no router packs is refused', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.array(signal, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(255)).map(([signals, at, byte]) => {
        const packed = Buffer.from(packedOf(signals), 'base64');
        packed[at % packed.length] = byte;
        return packed.subarray(0, byte % 2 === 0 ? packed.length : at % packed.length);
      }),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        try {
          for (const { e, w, t = 0 } of wireSignals(unpackSignals(Buffer.from(given).toString('base64')))) {
            assert.ok(Number.isSafeInteger(e) && e >= 0 && w >= 0 && w <= 10_000_000);
            assert.ok(Number.isSafeInteger(t) && t >= 0);
          }
        } catch (error) {
          assert.ok(error instanceof Refusal, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('in the log: the same bytes as one by one, however both are mixed, and columns that say what the events say', () => {
    const parts = fc.array(
      fc.record({ byColumn: fc.boolean(), signals: fc.array(signal, { minLength: 1, maxLength: 8 }) }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(parts, (groups) => {
        const single = new BatchBuilder();
        const mixed = new BatchBuilder();
        let hlc = startMs * HLC_PER_MS;
        for (const { byColumn, signals } of groups) {
          const events = signals.map((one, index) => stamped(one, hlc + index));
          for (const event of events) assert.ok(single.add(event));
          if (byColumn) assert.equal(mixed.addSignals(columnsOf(signals), 0, hlc), signals.length);
          else for (const event of events) assert.ok(mixed.add(event));
          hlc += signals.length + 3;
        }
        const [expected, batch] = [single.build(header), mixed.build(header)];
        assert.deepEqual(batch.bytes, expected.bytes);
        assert.deepEqual(batch.events, expected.events);
        const decoded = decodeBatch(batch.bytes);
        for (const one of [expected, batch, decoded]) assert.equal(one.lastHlc, expected.events.at(-1)!.hlc);
        assert.deepEqual(decoded.events, expected.events);
        assert.deepEqual(told(decoded), toldOf(expected.events));
        if (groups.every(({ byColumn }) => byColumn)) assert.deepEqual(told(batch), toldOf(expected.events));
        else if (batch.signals !== undefined) assert.fail('columns of a part only');
      }),
    );
  });

  it('in the log: a full batch takes no more, and the next one begins where it ended', () => {
    const many = columnsOf(Array.from({ length: 12_000 }, (_, n) => ({ k: 's', e: n, s: 'view', w: 1_000 }) as const));
    const taken: number[] = [];
    for (let at = 0; at < many.count; ) {
      const builder = new BatchBuilder();
      const count = builder.addSignals(many, at, startMs * HLC_PER_MS + at);
      assert.equal(builder.addSignals(many, at + count, startMs * HLC_PER_MS + at + count), 0);
      const { signals } = decodeBatch(builder.build(header).bytes);
      assert.deepEqual(signals?.entities, many.entities.subarray(at, at + count));
      taken.push(count);
      at += count;
    }
    assert.deepEqual(taken, [5_000, 5_000, 2_000]);
  });
});

/** As the thorough way reads it; undefined: refused. */
function thorough(body: Uint8Array): unknown {
  try {
    const lines = decodeText(body)
      .split('\n')
      .filter((line) => !/^[ \t\r]*$/.test(line));
    return lines.length === 0 ? undefined : lines.map((line) => toWire(parseWrite('signals', parseJson(line))));
  } catch {
    return undefined;
  }
}

function plain(body: Uint8Array): unknown {
  const read = readSignalLines(body, 20_000);
  if (read === undefined) return undefined;
  const signals = wireSignals(unpackSignals(read.packed));
  assert.equal(signals.length, read.count);
  return signals;
}

describe('bulks of signals from lines', () => {
  const space = fc.constantFrom('', '', '', ' ', '\t', '  ', '\r');
  const integer = fc.oneof(fc.nat(1_000), fc.maxSafeNat(), fc.constantFrom(0, 10 ** 15 - 1, 10 ** 15)).map(String);
  const odd = fc.constantFrom('-1', '-0', '01', '1.0', '1e2', '1E+2', '""', 'null', 'true', '[]', '{}', '1.', '.5', '');
  const moment = fc
    .oneof(
      fc.integer({ min: startMs - 5, max: startMs + 5 }),
      fc.constantFrom(0, 1_768_507_200, 946_684_799_999, 946_684_800_000, 253_402_300_799_999, 253_402_300_800_000),
    )
    .map(String);
  const weight = fc.oneof(
    fc.integer({ min: 0, max: 10_000_000 }).map((thousandths) => String(thousandths / 1_000)),
    fc.integer({ min: 0, max: 10_000_000 }).map((thousandths) => (thousandths / 1_000).toFixed(3)),
    fc.constantFrom('10000', '10000.0', '10000.001', '10001', '0.0004', '0.0005', '1.0005', '123456'),
    odd,
  );
  const name = fc.oneof(
    fc.constantFrom(
      'view',
      'like',
      'share',
      'with space',
      'ü',
      'a\\u0062',
      'a\\\\',
      'x'.repeat(128),
      'x'.repeat(129),
      '',
    ),
    fc.string({ unit: 'grapheme-ascii', maxLength: 4 }),
  );
  const entry = fc.oneof(
    fc.tuple(fc.constant('entity_id'), fc.oneof({ weight: 9, arbitrary: integer }, odd)),
    fc.tuple(fc.constant('signal'), fc.oneof({ weight: 9, arbitrary: name.map((text) => `"${text}"`) }, odd)),
    fc.tuple(fc.constant('weight'), weight),
    fc.tuple(fc.constant('timestamp'), fc.oneof(moment, integer, odd, fc.constant('"2026-01-02T03:04:05Z"'))),
    fc.tuple(fc.constantFrom('user_id', 'entity', 'weigh', 'Signal', '__proto__'), integer),
  );
  const line = fc
    .tuple(fc.array(entry, { maxLength: 5 }), space, space, space, fc.nat(12))
    .map(([entries, a, b, c, whole]) => {
      const some = entries.slice(0, whole % 3);
      const all = whole > 2 ? [['entity_id', '7'], ['signal', '"view"'], ...some] : entries;
      return `${a}{${all.map(([key, value]) => `${b}"${key}"${c}:${b}${value}${c}`).join(',')}}${a}`;
    });

  it('what is read the plain way is read the thorough way, to the same signals', () => {
    const body = fc
      .tuple(fc.array(line, { minLength: 1, maxLength: 4 }), fc.constantFrom('', '\n', '\n\n', '\n ', '\r\n'))
      .map(([lines, end]) => lines.join('\n') + end);
    let read = 0;
    fc.assert(
      fc.property(body, (text) => {
        const bytes = Buffer.from(text);
        const found = plain(bytes);
        if (found === undefined) return;
        read++;
        assert.deepEqual(found, thorough(bytes));
      }),
      { numRuns: 2_000 },
    );
    assert.ok(read > 100, `${read} bodies were plain`);
  });

  it('also when a byte of it is another', () => {
    fc.assert(
      fc.property(fc.array(signal, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255), (signals, at, byte) => {
        const text = signals.map(
          ({ e, w, t }) =>
            `{"entity_id":${e % 1_000},"signal":"view","weight":${w / 1_000}${t === undefined ? '' : `,"timestamp":${t}`}}`,
        );
        const bytes = Buffer.from(`${text.join('\n')}\n`);
        bytes[at % bytes.length] = byte;
        const found = plain(bytes);
        if (found !== undefined) assert.deepEqual(found, thorough(bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  it('what clients usually write is read the plain way', () => {
    for (const text of [
      '{"entity_id":1,"signal":"view"}',
      '{"entity_id": 1, "signal": "view", "weight": 0.5}\n',
      '{"signal":"view","entity_id":1,"weight":1,"timestamp":1750000000000}\r\n{"entity_id":2,"signal":"like"}\r\n',
    ]) {
      assert.notEqual(plain(Buffer.from(text)), undefined, text);
      assert.deepEqual(plain(Buffer.from(text)), thorough(Buffer.from(text)));
    }
    const two = Buffer.from('{"entity_id":1,"signal":"view"}\n'.repeat(2));
    assert.equal(readSignalLines(two, 1), undefined, 'more than may travel together');
  });
});
