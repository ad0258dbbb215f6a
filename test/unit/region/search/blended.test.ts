/** Searches that weigh a profile, as a whole region answers them over HTTP. */
import assert from 'node:assert/strict';
import type { ScorePart } from '../../../../services/region/scored/scored.ts';
import type { Problem } from '../../../../shared/errors/errors.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 24h }
  hide: { sentiment: negative, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
profiles:
  seen: { terms: [{ signal: view, window: all }], gates: [{ signal: view, window: all, min: 2 }] }
`;

interface Page {
  readonly items: readonly {
    readonly entity_id: number;
    readonly score: number;
    readonly explain?: readonly ScorePart[];
  }[];
  readonly next_cursor: string | null;
  readonly total_matched: number;
}

/** Views of items 1, 2, …; the last one is hidden as often. */
const views = [0, 5, 1, 10, 4];

describe('a search that weighs a profile', () => {
  let region: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    for (const [at, count] of views.entries()) {
      const entity = at + 1;
      await region.put(entity, { title: entity === 1 ? 'jazz jazz' : entity === 5 ? 'rock' : 'jazz night' });
      await region.embed(entity, [1, entity / 10]);
      if (count > 0) await region.write({ k: 's', e: entity, s: 'view', w: count * 1_000 });
    }
    await region.write({ k: 's', e: 5, s: 'hide', w: 14_000 });
  });
  after(() => region?.stop());

  async function find(path: string): Promise<Page> {
    const { status, body } = await region.get<Page>(path);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }
  const byEntity = ({ items }: Page) => new Map(items.map((item) => [item.entity_id, item]));

  it('has popularity decide between equal scores without one', async () => {
    const { items } = await find('/search?query=jazz');
    assert.deepEqual(
      items.map(({ entity_id }) => entity_id),
      [1, 4, 2, 3],
    );
    assert.equal(items[1]?.score, items[3]?.score);
    const paged: number[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Page = await find(`/search?query=jazz&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`);
      paged.push(...page.items.map(({ entity_id }) => entity_id));
      cursor = page.next_cursor;
    }
    assert.deepEqual(paged, [1, 4, 2, 3]);
  });

  it('multiplies the score of the text by 1 + weight · norm', async () => {
    const plain = byEntity(await find('/search?query=jazz'));
    for (const [weight, given] of [
      [1, ''],
      [2.5, '&profile_weight=2.5'],
      [0, '&profile_weight=0'],
    ] as const) {
      const page = await find(`/search?query=jazz&profile=most_viewed${given}`);
      assert.equal(page.total_matched, 4);
      for (const { entity_id: entity, score } of page.items) {
        const norm = views[entity - 1]! / 10;
        const expected = plain.get(entity)!.score * (1 + weight * norm);
        assert.ok(Math.abs(score - expected) < 1e-12, `${entity}: ${score}, not ${expected}`);
      }
      const scores = page.items.map(({ score }) => score);
      assert.deepEqual(
        scores,
        scores.toSorted((a, b) => b - a),
      );
    }
    const ids = (await find('/search?query=jazz&profile=most_viewed')).items.map(({ entity_id }) => entity_id);
    assert.deepEqual(ids, [4, 2, 3, 1]);
  });

  it('takes every profile but related, also with a vector, and when browsing', async () => {
    assert.deepEqual(
      (await find('/search?query=*&profile=top&profile_weight=3')).items.map(({ entity_id, score }) => [
        entity_id,
        score,
      ]),
      // −10 … 10.
      [
        [4, 4],
        [2, 1 + 3 * (15 / 20)],
        [3, 1 + 3 * (11 / 20)],
        [1, 1 + 3 * (10 / 20)],
        [5, 1],
      ],
    );
    // A gate of the profile ranks no item out of a search.
    const gated = byEntity(await find('/search?query=jazz&profile=seen'));
    assert.deepEqual([...gated.keys()].sort(), [1, 2, 3, 4]);
    assert.equal(gated.get(3)!.score, byEntity(await find('/search?query=jazz')).get(3)!.score);
    for (const body of [
      { vector: [1, 0.1], profile: 'most_viewed', profile_weight: 5 },
      { query: 'jazz', vector: [1, 0.1], profile: 'most_viewed', profile_weight: 5 },
    ]) {
      const { status, body: page } = await region.post<Page>('/search', body);
      assert.equal(status, 200);
      assert.equal(page.items[0]?.entity_id, 4);
    }
    const refused = await region.get<Problem>('/search?query=jazz&profile=related');
    assert.equal(refused.status, 404);
    assert.match(JSON.stringify(refused.body), /trending.*most_viewed.*seen/);
  });

  it('explains both', async () => {
    for (const path of [
      '/search?query=jazz%20night&profile=hot&explain=true',
      '/search?query=*&profile=hot&explain=true',
    ]) {
      for (const { score, explain = [] } of (await find(path)).items) {
        const sum = explain.reduce((total, { part }) => total + part, 0);
        assert.ok(Math.abs(sum - score) < 1e-9, `${sum} is not ${score}`);
        for (const { value, weight, part } of explain) assert.ok(Math.abs(value * weight - part) < 1e-9);
        assert.ok(explain.some(({ term }) => term === 'profile hot, from lowest to highest'));
        assert.ok(explain.some(({ term }) => term === 'profile hot: positive all'));
      }
    }
  });

  it('keeps lowest and highest of the first page', async () => {
    const path = '/search?query=jazz&profile=most_viewed&limit=2';
    const all = (await find('/search?query=jazz&profile=most_viewed')).items;
    const first = await find(path);
    // The highest by far from now on; it was on the first page.
    await region.write({ k: 's', e: 4, s: 'view', w: 1_000_000 });
    const second = await find(`${path}&cursor=${first.next_cursor}`);
    assert.deepEqual(
      [...first.items, ...second.items].map(({ entity_id, score }) => [entity_id, score]),
      all.map(({ entity_id, score }) => [entity_id, score]),
    );
    assert.equal(second.next_cursor, null);
  });
});
