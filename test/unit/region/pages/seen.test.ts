/** Pages of fused results go by what was shown. */
import assert from 'node:assert/strict';
import { firstPosition, type PagePosition, takeUnseenPage } from '../../../../services/region/pages/pages.ts';
import { SEEN_LIMIT, Seen } from '../../../../services/region/pages/seen.ts';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';
import { CURSOR_LIMIT_CHARACTERS } from '../../../../shared/protocol/internal.ts';

const cursors = createCursors({ secrets: () => ['a'], schemaHash: 'b' });
const scattered = (count: number): number[] =>
  Array.from({ length: count }, (_, n) => Number((BigInt(n + 1) * 6_364_136_223_846_793_005n) % 2n ** 53n));

describe('items seen', () => {
  it('as many as there may be fit a cursor and are distinguished', () => {
    for (const all of [scattered(SEEN_LIMIT + 500), Array.from({ length: SEEN_LIMIT + 500 }, (_, n) => n)]) {
      const seen = Seen.none(all).with(all.slice(0, SEEN_LIMIT));
      const place: PagePosition = { ...firstPosition, shown: SEEN_LIMIT, seen };
      const cursor = cursors.write(['query'], 1, place);
      assert.ok(cursor.length <= CURSOR_LIMIT_CHARACTERS, `${cursor.length} characters`);
      const read = cursors.read(cursor, ['query']);
      assert.ok(typeof read === 'object');
      assert.deepEqual(
        all.filter((entity) => read.place.seen!.has(entity)),
        all.slice(0, SEEN_LIMIT),
      );
    }
  });

  it('are read as they were written, and nothing else is', () => {
    for (const count of [0, 1, 2, 3, 100]) {
      const bytes = Seen.none([]).with(scattered(count)).bytes();
      const read = Seen.read(bytes);
      assert.equal(read?.size, count);
      assert.deepEqual(read?.bytes(), bytes);
      if (count > 2) assert.equal(Seen.read(bytes.slice(0, -1)), undefined);
    }
    assert.equal(Seen.read(Uint8Array.of(0, 0)), undefined);
    assert.equal(Seen.read(Uint8Array.of(0, 0xff, 0xff)), undefined);
    assert.equal(Seen.read(Uint8Array.of(0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff)), undefined);
  });

  it('end a result once the pages have shown as many as a cursor may name', () => {
    const all = scattered(SEEN_LIMIT + 100).map((entity, rank) => ({ entity, score: -rank }));
    const shown: number[] = [];
    for (let from: PagePosition | undefined = firstPosition; from !== undefined; ) {
      const page = takeUnseenPage(all, { limit: 150, from });
      shown.push(...page.items.map(({ entity }) => entity));
      from = page.next;
    }
    assert.deepEqual(
      shown,
      all.slice(0, SEEN_LIMIT).map(({ entity }) => entity),
    );
  });
});
