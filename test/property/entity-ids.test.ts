/** Ids of entities in bodies, lines, paths, parameters and between processes: all take the same ones, and refuse others in the same words. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createCursors } from '../../services/region/pages/signed-cursors.ts';
import { parseFeedQuery } from '../../services/region/query/query.ts';
import { readSignalLines } from '../../services/router/http/signal-lines.ts';
import { Refusal } from '../../shared/errors/errors.ts';
import { entityIdOfPath } from '../../shared/protocol/entity-id.ts';
import { unpackSignals } from '../../shared/protocol/packed-signals.ts';
import { fromWire, parseWrite } from '../../shared/protocol/writes.ts';

const refused = 'must be an integer from 0 to 9007199254740991';
const cursors = createCursors({ secrets: () => [''], schemaHash: 'x' });

/** The id, or the words of the refusal after the name of the field. */
function outcome(name: string, parse: () => number | undefined): number | string | undefined {
  try {
    return parse();
  } catch (error) {
    assert.ok(error instanceof Refusal && error.message.startsWith(`${name} `), String(error));
    return error.message.slice(name.length + 1);
  }
}

const inText: readonly ((text: string) => number | string | undefined)[] = [
  (text) => outcome('the item id', () => entityIdOfPath(text)),
  (text) =>
    outcome('entity_id', () => {
      const search = new URLSearchParams({ profile: 'related', entity_id: text });
      return parseFeedQuery(search, { cursors }).query.entity;
    }),
];

const inBodies: readonly ((value: unknown) => number | string | undefined)[] = [
  (value) => outcome('entity_id', () => parseWrite('items', { entity_id: value, metadata: {} }).entity),
  (value) => outcome('entity_id', () => parseWrite('signals', { entity_id: value, signal: 'view' }).entity),
  (value) => outcome('entity_id', () => parseWrite('embeddings', { entity_id: value, values: [1] }).entity),
  (value) => outcome('e', () => fromWire({ k: 'd', e: value }).entity),
  (value) => outcome('e', () => fromWire({ k: 's', e: value, s: 'view', w: 0 }).entity),
];

const number = fc.oneof(
  fc.maxSafeNat(),
  fc.maxSafeInteger(),
  fc.nat(300),
  fc.double(),
  fc.constantFrom(0, -0, 2 ** 53 - 1, 2 ** 53, 1e16, 0.5, Number.NaN, Number.POSITIVE_INFINITY),
);

describe('entity ids', () => {
  it('a number is taken everywhere as the same id, or refused everywhere in the same words', () => {
    fc.assert(
      fc.property(number, (value) => {
        const isId = Number.isSafeInteger(value) && value >= 0;
        const expected = isId ? value + 0 : refused;
        for (const parse of inBodies) assert.equal(parse(value), expected);
        for (const parse of inText) assert.equal(parse(String(value)), expected);
        const line = readSignalLines(Buffer.from(`{"entity_id":${value},"signal":"view"}`), 1);
        // Long ones are left to the slower reader, which is the first of the bodies above.
        if (line !== undefined) assert.equal(unpackSignals(line.packed).entities[0], expected);
        else assert.ok(!isId || value >= 1e15);
      }),
    );
  });

  it('nothing but digits is an id: no sign, space, fraction, exponent, and no text in a body', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.string({ unit: fc.constantFrom(...'0123456789 +-.eEx_'), maxLength: 20 }),
    );
    fc.assert(
      fc.property(text, (value) => {
        const expected = /^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value)) ? Number(value) : refused;
        for (const parse of inText) assert.equal(parse(value), expected);
        for (const parse of inBodies) assert.equal(parse(value), refused);
      }),
    );
    for (const value of [null, undefined, true, [], [1], {}, 1n]) {
      for (const parse of inBodies) assert.equal(parse(value), refused);
    }
  });
});
