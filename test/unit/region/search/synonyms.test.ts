/** Synonyms of the schema, as a whole region answers with them over HTTP. */
import assert from 'node:assert/strict';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const base = `
signals:
  view: { sentiment: positive, half_life: 24h }
embedding: { dimensions: 2 }
text:
  fields: { title: {}, body: {} }`;
const schema = `${base}
  synonyms:
    - words: [red bull, redbull]
    - words: [film, movie, motion picture]
    - words: [tv]
      find: [television, telly]
    - { words: [spider-man, spidey] }
    - { words: [Lord of the Rings, LOTR] }
`;

const titles: Readonly<Record<number, string>> = {
  1: 'Red Bull',
  2: 'Redbull',
  3: 'Red dress',
  4: 'Bull with a red nose',
  5: 'a film',
  6: 'a movie',
  7: 'a motion picture',
  8: 'a picture of motion',
  9: 'tv',
  10: 'television',
  11: 'telly television',
  12: 'Spider-Man',
  13: 'Spidey',
  14: 'The Lord of the Rings',
  15: 'LOTR',
  16: 'Redbull energy',
  17: 'Red Bull energy',
  18: 'televise',
};

interface Part {
  readonly asked: string;
  readonly match: string;
  readonly word: string;
  readonly value: number;
  readonly part: number;
}

interface Page {
  readonly items: readonly {
    readonly entity_id: number;
    readonly score: number;
    readonly explain?: readonly Part[];
    readonly highlights?: unknown;
  }[];
  readonly next_cursor: string | null;
  readonly total_matched: number;
  readonly relaxed?: readonly string[];
  readonly facets?: unknown;
}

describe('synonyms', () => {
  let region: LeadingRegion;
  let plain: LeadingRegion;
  before(async () => {
    region = await leadingRegion({ schema });
    plain = await leadingRegion({ schema: `${base}\n` });
    for (const each of [region, plain]) {
      for (const [entity, title] of Object.entries(titles)) {
        await each.put(Number(entity), { title, kind: Number(entity) % 2 === 0 ? 'even' : 'odd' });
        await each.embed(Number(entity), [1, Number(entity)]);
      }
    }
  });
  after(async () => {
    await region?.stop();
    await plain?.stop();
  });

  async function find(query: string, rest = '', asked = region): Promise<Page> {
    const { status, body } = await asked.get<Page>(`/search?query=${encodeURIComponent(query)}${rest}`);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }
  const ids = ({ items }: Page): number[] => items.map(({ entity_id }) => entity_id);
  const found = async (query: string, rest = ''): Promise<number[]> => ids(await find(query, rest));

  it('of several words are found as a phrase, and for a phrase, what was typed first', async () => {
    assert.deepEqual(await found('redbull'), [2, 16, 1, 17]);
    assert.deepEqual(await found('red bull', '&matching=all'), [1, 4, 17, 2, 16]);
    assert.deepEqual(await found('"red bull"'), [1, 17, 2, 16]);
    assert.deepEqual(await found('RED  bulls', '&matching=all'), [1, 4, 17, 2, 16]);
    assert.deepEqual(await found('"red bull energy"'), [17, 16]);
    assert.deepEqual(await found('"redbull energy"'), [16, 17]);
    // One word alone is not the phrase.
    assert.deepEqual(await found('bull'), [1, 4, 17]);
    assert.deepEqual(ids(await find('red bull', '', plain)), [1, 4, 17, 3]);
    assert.deepEqual(await found('red bull'), [1, 4, 17, 2, 16, 3]);
  });

  it('hold both ways in a list of words, and one way where the words find others', async () => {
    assert.deepEqual((await found('movie')).toSorted(), [5, 6, 7]);
    assert.equal((await found('movie'))[0], 6);
    assert.equal((await found('films'))[0], 5);
    assert.deepEqual((await found('motion picture', '&matching=all')).toSorted(), [5, 6, 7, 8]);
    assert.deepEqual(await found('tv'), [9, 10, 18, 11]);
    assert.deepEqual(await found('"television"'), [10, 18, 11]);
    assert.deepEqual(await found('lotr', '&matching=all'), [15, 14]);
    assert.deepEqual(await found('lord of the rings', '&matching=all'), [14, 15]);
    assert.deepEqual(await found('spidey'), [13, 12]);
    assert.deepEqual(await found('spider-man', '&matching=all'), [12, 13]);
  });

  it('count once, and less than the word itself', async () => {
    const { items } = await find('tv', '&explain=true');
    const score = new Map(items.map(({ entity_id, score: own }) => [entity_id, own]));
    const parts = (entity: number) =>
      items
        .find(({ entity_id }) => entity_id === entity)!
        .explain!.map(({ asked, match, word }) => [asked, match, word]);
    assert.deepEqual(parts(9), [['tv', 'exact', 'tv']]);
    assert.deepEqual(parts(10), [['tv', 'synonym', 'television']]);
    assert.equal(parts(11).length, 1);
    assert.ok(score.get(9)! > score.get(10)!);
    // Its two synonyms are one, in a longer text.
    assert.ok(score.get(11)! < score.get(10)!);
    // δ = 3 · 2.2 and 2 · 2.2, in texts of the same length.
    const [exact, synonym] = [items[0]!, items[1]!].map(({ explain }) => explain![0]!.value);
    assert.ok(Math.abs(exact! - synonym! - 2.2) < 1e-9, `${exact} ${synonym}`);

    // A word that the query has itself counts there.
    const both = await find('film movie', '&matching=all&explain=true');
    assert.deepEqual(ids(both).toSorted(), [5, 6, 7]);
    const film = both.items.find(({ entity_id }) => entity_id === 5)!.explain!;
    assert.deepEqual(
      film.map(({ asked, match, part }) => [asked, match, part > 0]),
      [
        ['film', 'exact', true],
        ['movie', 'synonym', false],
      ],
    );
  });

  it('hold beside completion and correction, which are of the words typed', async () => {
    // The last word may not be complete: longer ones are found too.
    assert.deepEqual(await found('tele'), [10, 18, 11]);
    // A word with synonyms in the index is not corrected.
    assert.deepEqual(await found('movei'), [6]);
    assert.deepEqual(await found('tv*'), [9]);
  });

  it('are looked for in the field that the word is', async () => {
    assert.deepEqual(await found('title:tv'), [9, 10, 18, 11]);
    assert.deepEqual(await found('body:tv'), []);
    assert.deepEqual(await found('title:redbull'), [2, 16, 1, 17]);
    assert.deepEqual(await found('body:redbull'), []);
    assert.deepEqual(await found('title:"red bull"'), [1, 17, 2, 16]);
  });

  it('are not excluded with a word, and not used by lunr’s operators', async () => {
    assert.deepEqual(
      (await found('television -tv')).toSorted((a, b) => a - b),
      [10, 11, 18],
    );
    assert.deepEqual(await found('redbull -"red bull"'), [2, 16]);
    assert.deepEqual(await found('redbull', '&syntax=lunr'), [2, 16]);
  });

  it('are highlighted, counted in facets, filtered, fused with vectors, weighed by profiles and sorted', async () => {
    const marked = await find('redbull', '&highlight=title&limit=10');
    const texts = JSON.stringify(marked.items.find(({ entity_id }) => entity_id === 1));
    assert.match(texts, /<mark>Red<\/mark> <mark>Bull<\/mark>/);
    const counted = await find('tv', '&facets=kind');
    assert.deepEqual(counted.facets, {
      kind: [
        { value: 'even', count: 2 },
        { value: 'odd', count: 2 },
      ],
    });
    assert.deepEqual(await found('tv', '&filter=kind:even'), [10, 18]);
    assert.deepEqual((await found('lotr', '&profile=most_viewed')).toSorted(), [14, 15]);
    assert.deepEqual(await found('lotr', '&sort=title'), [15, 14]);
    const { status, body } = await region.post<Page>('/search', { query: 'lotr', vector: [1, 15], limit: 2 });
    assert.equal(status, 200);
    assert.deepEqual(ids(body), [15, 14]);
  });

  it('are the same on every page, whatever is written in between', async () => {
    const whole = await find('redbull');
    const first = await find('redbull', '&limit=1');
    const scores = [first.items[0]!.score];
    let cursor = first.next_cursor;
    for (let entity = 100; cursor !== null; entity++) {
      await region.put(entity, { title: entity === 100 ? 'Red Bull, red bull, red bull' : 'bull in red' });
      const page = await find('redbull', `&limit=1&cursor=${encodeURIComponent(cursor)}`);
      for (const { entity_id, score } of page.items) if (entity_id < 100) scores.push(score);
      cursor = page.next_cursor;
    }
    for (let entity = 100; entity < 105; entity++) await region.remove(entity);
    assert.deepEqual(
      scores,
      whole.items.map(({ score }) => score),
    );
  });
});
