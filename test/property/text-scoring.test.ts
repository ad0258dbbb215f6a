/**
 * The ways to an answer agree: whatever way a query of many documents takes, hits, scores and total are those of looking
 * every document up, bit for bit. Each way is shown to have been taken by what it looks at.
 */
import assert from 'node:assert/strict';
import { compareScored, type Scored } from '../../services/region/scored/scored.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import type { Selection } from '../../services/region/state/filter-index/filter-index.ts';
import type { ExpandedQuery, TextQuery } from '../../services/region/state/text/query/query.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { selectionOf } from '../harness/region/state/selections.ts';
import { lunrQuery, plainQuery } from '../harness/region/state/text-queries.ts';

const DOCUMENTS = 12_000;
const schema = {
  textFields: [
    { name: 'title', boost: 3 },
    { name: 'body', boost: 1 },
  ],
  bm25: { k1: 1.2, b: 0.75 },
  synonyms: [
    { words: ['tune', 'word20', 'word120 word121', 'word150 word90 word60'] },
    { words: ['melody'], find: ['rare', 'lone50'] },
  ],
};

/** Words by rank: the first is in most documents, the later ones in fewer and fewer; `lone…` in one each. */
function build(seed: number): { text: MemoryTextIndex; entities: Entities } {
  const chance = seededRandom(seed);
  const random = (): number => drawFraction(chance);
  const entities = new Entities();
  const documents = new Map<number, Metadata>();
  const metadataOf = (ordinal: number): Metadata | undefined => documents.get(entities.entity(ordinal));
  const text = new MemoryTextIndex({ schema, entities, metadataOf });
  const put = (entity: number, metadata: Metadata): void => {
    documents.set(entity, metadata);
    text.put(entity, metadata);
  };
  const word = (): string => `word${Math.floor(200 * random() ** 3)}`;
  for (let i = 0; i < DOCUMENTS; i++) {
    const words = Array.from({ length: 1 + Math.floor(random() * 12) }, word);
    const body = i % 97 === 0 ? Array.from({ length: 300 }, word).join(' ') : words.join(' ');
    put(i * 3, { title: `${word()} ${i % 400 === 7 ? 'rare' : ''} lone${i}`, body });
  }
  for (let i = 0; i < DOCUMENTS; i += 5) text.remove(i * 3);
  for (let i = 0; i < DOCUMENTS; i += 10) put(i * 3, { title: word(), body: 'again rare' });
  return { text, entities };
}

describe('text scoring: every way gives the same answer', () => {
  const { text, entities } = build(20_261_125);
  const everyOther = selectionOf(Array.from({ length: entities.size / 2 }, (_, i) => i * 2));
  const few = selectionOf([3, 70, 71, 900, 901, 902, 5_000, 11_999, 40]);
  const selections: [name: string, selection: Selection | undefined][] = [
    ['all', undefined],
    ['every other', everyOther],
    ['nine', few],
    ['none', selectionOf([])],
  ];

  /** By looking up every document. */
  function naive(query: TextQuery, selection: Selection | undefined): Scored[] {
    const expanded = text.expand(query);
    const found = naiveOf(expanded, selection);
    const { minimum, isMinimumRelaxed } = expanded;
    if (found.length > 0 || minimum <= 1 || !isMinimumRelaxed) return found;
    return naiveOf({ ...expanded, minimum: 1 }, selection);
  }

  function naiveOf(expanded: ExpandedQuery, selection: Selection | undefined): Scored[] {
    text.scoring.refresh();
    const found: Scored[] = [];
    for (let ordinal = 0; ordinal < entities.size; ordinal++) {
      const score = text.scoring.scoreOf(ordinal, expanded);
      if (score >= 0 && selection?.has(ordinal) !== false) found.push({ entity: entities.entity(ordinal), score });
    }
    return found.sort(compareScored);
  }

  const lunr = [
    'word0',
    'word3 word9',
    'word0 word0 word1^2 word2',
    'rare word0',
    'word0 rare',
    'lone77',
    'lone77 word0',
    '+rare word0 word1',
    '+word0 +word1',
    '+lone77 +word0',
    '+missing word0',
    'word5 -word0',
    '-word0',
    '-word0 -word1',
    '+word2 word3 -rare',
    'title:word0 body:word1',
    '+title:rare word0',
    'lone1* word4',
    '+wor*',
    'word11~1 rare',
    'lone77 lone78 rare',
    'title:lone77 body:lone78 title:rare^2',
    'missing',
    '"word60 word61" word1',
    '+"word61 word60"^2 -word5',
  ].map(lunrQuery);
  const plain = [
    ...(['any', 'most', 'all'] as const).flatMap((matching) =>
      ['word0 word1', 'word3 word9 word11', 'word0 word1 word2 word3 word4', 'rare word0 wo', 'lone77 word0 word5'].map(
        (text) => plainQuery(text, matching),
      ),
    ),
    ...['word1', 'lone7', 'title:word0 word1 rare', 'rare -word0', '-rare', 'agian', 'agian rare', 'word* rare'].map(
      (text) => plainQuery(text),
    ),
    ...['tune word1', '"word120 word121"', 'title:tune word4', 'melody -word7', '"word60 word61"'].map((text) =>
      plainQuery(text),
    ),
    plainQuery('word120 word121 word20', 'all'),
    ...['wordsmith loen missing', 'missing elsewhere word9', 'again rare word12 word14', '*', ''].map((text) =>
      plainQuery(text),
    ),
  ];
  const queries = [...lunr, ...plain];
  for (const query of queries) {
    it(`${query.text}${query.matching === undefined ? '' : `, ${query.matching}`}`, () => {
      for (const [name, selection] of selections) {
        const expected = naive(query, selection);
        for (const limit of [1, 10, 1_000, 20_000]) {
          const ranking = text.rank(query, selection);
          assert.deepEqual(ranking.after(undefined, limit), expected.slice(0, limit), `${name}, first ${limit}`);
          assert.equal(ranking.total, expected.length, name);
        }
        // From any key on, also one without an entry.
        const ranking = text.rank(query, selection);
        for (const at of [0, 1, 7, 500]) {
          const key = expected[at] ?? { entity: 1, score: 0.5 };
          const after = expected.filter((hit) => compareScored(key, hit) < 0);
          assert.deepEqual(ranking.after(key, 10), after.slice(0, 10), `${name}, after ${at}`);
        }
        let page = ranking.after(undefined, 700);
        const pages = [...page];
        while (page.length > 0) {
          page = ranking.after(page.at(-1), 700);
          pages.push(...page);
        }
        assert.deepEqual(pages, expected, `${name}, page by page`);
      }
    });
  }

  const work = (query: TextQuery, selection?: Selection): { postings: number; lookups: number } => {
    const before = { ...text.scoring.work };
    text.rank(query, selection).after(undefined, 10);
    const { postings, lookups } = text.scoring.work;
    return { postings: postings - before.postings, lookups: lookups - before.lookups };
  };
  const documents = (word: string): number => text.rank(lunrQuery(word)).total;

  it('a page does no more work than its query was charged for', () => {
    // A lookup is charged as 20 postings; where looking up candidates was not enough, all is passed after it.
    for (const query of queries) {
      for (const [name, selection] of selections) {
        const { postings, lookups } = work(query, selection);
        const { spent } = text.lastCost;
        assert.ok(postings + 20 * lookups <= 2 * spent, `${query.text}, ${name}: ${postings}, ${lookups}, ${spent}`);
      }
    }
  });

  it('a page that skips many scans the matches a second time, but not a third', () => {
    const once = documents('word0') + documents('word1');
    const before = text.scoring.work.postings;
    const ranking = text.rank(lunrQuery('word0 word1'));
    const expected = naive(lunrQuery('word0 word1'), undefined);
    const found: Scored[] = [];
    for (const limit of [201, 402, 804, 593]) found.push(...ranking.after(found.at(-1), limit));
    assert.deepEqual(found, expected.slice(0, 2_000));
    assert.equal(ranking.total, expected.length);
    assert.equal(text.scoring.work.postings - before, 2 * once);
  });

  it('two common terms: each posting once', () => {
    assert.deepEqual(work(lunrQuery('word3 word9')), { postings: documents('word3') + documents('word9'), lookups: 0 });
  });

  it('a term in one document beside a required one: that document only', () => {
    assert.deepEqual(work(lunrQuery('+lone77 word0')), { postings: 0, lookups: 2 });
  });

  it('a few selected documents: those only', () => {
    const { postings, lookups } = work(lunrQuery('word0 word1'), few);
    assert.deepEqual([postings, lookups], [0, 18]);
  });

  it('a rare term beside a common one: the documents of the rare term only', () => {
    // Twelve documents, more than a page.
    for (let i = 0; i < 12; i++) text.put(1_000_000 + i, { title: `scarce${i % 2} scarce` });
    const { postings, lookups } = work(lunrQuery('scarce word0'));
    assert.deepEqual([postings, lookups], [0, 24]);
    assert.deepEqual(
      text.rank(lunrQuery('scarce word0')).after(undefined, 10),
      naive(lunrQuery('scarce word0'), undefined).slice(0, 10),
    );
    assert.equal(text.rank(lunrQuery('scarce word0')).total, naive(lunrQuery('scarce word0'), undefined).length);
  });
});
