/** What a cursor carries of a search: scores of another state of the index, bit for bit, within a bound of bytes. */
import assert from 'node:assert/strict';
import { createCursors } from '../../../../../../services/region/pages/signed-cursors.ts';
import { Entities } from '../../../../../../services/region/state/entities/entities.ts';
import { STATISTICS_LIMIT_BYTES } from '../../../../../../services/region/state/text/statistics/statistics.ts';
import { createTextIndex } from '../../../../../../services/region/state/text/text-index.ts';
import { Refusal } from '../../../../../../shared/errors/errors.ts';
import { CURSOR_LIMIT_CHARACTERS } from '../../../../../../shared/protocol/internal.ts';
import { lunrQuery } from '../../../../../harness/region/state/text-queries.ts';

const cursors = createCursors({ secrets: () => ['a'], schemaHash: 'b' });

function indexOf(fields: number) {
  const textFields = Array.from({ length: fields }, (_, field) => ({ name: `f${field}`, boost: 1 + field }));
  return createTextIndex({ schema: { textFields, bm25: { k1: 1.2, b: 0.75 } }, entities: new Entities() });
}

describe('statistics of a search', () => {
  it('give the scores of the first page in another state of another index, to the bit', () => {
    const query = 'zebra jaz* f0:night^2 pianos~1 +drum';
    const text = (entity: number) => ({
      f0: `zebra night drum ${'jazzy '.repeat(entity % 3)}`,
      f1: `drum ${'piano '.repeat(entity % 5)} word${entity}`,
    });
    const [here, there] = [indexOf(2), indexOf(2)];
    for (let entity = 1; entity <= 50; entity++) here.put(entity, text(entity));
    const first = here.rank(lunrQuery(query));
    const wanted = first.after(undefined, 100);
    assert.equal(wanted.length, 50);
    const statistics = first.statistics();
    for (let entity = 90; entity > 50; entity--)
      there.put(entity, { f0: `jazz jazzed jazaa${entity} zebra`, f1: 'piano' });
    for (let entity = 50; entity >= 1; entity--) there.put(entity, text(entity));
    assert.notDeepEqual(there.rank(lunrQuery(query)).after(undefined, 100), wanted);
    const later = there.rank(lunrQuery(query), undefined, undefined, statistics);
    assert.deepEqual(later.after(undefined, 100), wanted);
    assert.deepEqual(later.after(wanted[19], 10), wanted.slice(20, 30));
    assert.deepEqual(later.statistics(), statistics);
    assert.ok(
      Math.abs(
        later.explain(7).reduce((sum, { part }) => sum + part, 0) - wanted.find(({ entity }) => entity === 7)!.score,
      ) < 1e-12,
    );
  });

  it('score what has a field that no item had before', () => {
    const text = indexOf(2);
    text.put(1, { f0: 'jazz' });
    const statistics = text.rank(lunrQuery('jazz')).statistics();
    text.put(2, { f1: 'jazz jazz' });
    const scores = text.rank(lunrQuery('jazz'), undefined, undefined, statistics).after(undefined, 10);
    assert.equal(scores.length, 2);
    assert.ok(scores.every(({ score }) => Number.isFinite(score)));
  });

  it('fit a cursor beside kinds, whatever the query', () => {
    const text = indexOf(16);
    let entity = 0;
    for (const letter of 'abcdefgh') {
      for (let word = 0; word < 64; word++) {
        const long = `${letter}${'x'.repeat(20)}${String(word).padStart(2, '0')}`;
        for (let copies = 0; copies < 1 + (word % 3) * 70; copies++) text.put(++entity, { f3: long });
      }
    }
    const words = Array.from({ length: 24 }, (_, n) => `plain${n}`);
    text.put(++entity, { f0: words.join(' '), f15: 'x' });
    const query = [...'abcdefgh']
      .map((letter) => `${letter}*`)
      .concat(words)
      .join(' ');
    const ranking = text.rank(lunrQuery(query));
    const statistics = ranking.statistics();
    assert.ok(statistics.length > 4_000 && statistics.length <= STATISTICS_LIMIT_BYTES, `${statistics.length} bytes`);
    assert.equal(ranking.explain(entity).length, words.length, 'no word of its own is left out');
    const kindsLimit = cursors.kindsLimit(statistics);
    assert.ok(kindsLimit >= 5, `${kindsLimit} kinds`);
    const kinds = new Map(
      Array.from({ length: kindsLimit }, (_, n) => [n.toString(16).padStart(12, '0'), { score: n, entity: n }]),
    );
    const place = { shown: 20, rest: { score: 1, entity: 2 }, kinds, statistics };
    const cursor = cursors.write(['query'], 1, place);
    assert.ok(cursor.length <= CURSOR_LIMIT_CHARACTERS, `${cursor.length} characters`);
    const read = cursors.read(cursor, ['query']);
    assert.ok(typeof read === 'object');
    assert.deepEqual(Buffer.from(read.place.statistics!), Buffer.from(statistics));
    const again = text.rank(lunrQuery(query), undefined, undefined, read.place.statistics);
    assert.deepEqual(again.after(undefined, 50), ranking.after(undefined, 50));
  });

  it('are refused if they are damaged, or of other fields', () => {
    const text = indexOf(1);
    text.put(1, { f0: 'jazz piano' });
    const statistics = text.rank(lunrQuery('jazz piano')).statistics();
    const refused = (bytes: Uint8Array, index = text): void =>
      assert.throws(
        () => index.rank(lunrQuery('jazz piano'), undefined, undefined, bytes),
        (error) => error instanceof Refusal && error.code === 'invalid_request',
      );
    for (let end = 0; end < statistics.length; end++) refused(statistics.slice(0, end));
    refused(Uint8Array.from([...statistics, 0]));
    refused(statistics, indexOf(2));
    const averageIsNaN = statistics.slice();
    averageIsNaN.set([0x7f, 0xf8], 2);
    refused(averageIsNaN);
  });
});
