/**
 * Our BM25 against someone else's: SQLite's FTS5, given the same tokens and the same k1 = 1.2 and b = 0.75, which FTS5 has
 * built in.
 *
 * The two formulas differ in one place, the idf: FTS5 has ln((N − n + ½) / (n + ½)), and 10⁻⁶ where that is not positive; we
 * have ln(1 + that quotient), which never is. So for terms in a small part of the documents the two agree closely, and
 * with FTS5's idf in place of ours they must agree to rounding: the second test shows that nothing else differs.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Entities } from '../../../../../services/region/state/entities/entities.ts';
import { MemoryTextIndex } from '../../../../../services/region/state/text/text-index.ts';
import { type Fts5, openFts5, withoutFts5 } from '../../../../harness/search/sqlite-fts5.ts';

/** Real texts: the titles, directors and genres of 3,201 films, and the paragraphs of this repository's documentation. */
function texts(): string[] {
  const films = JSON.parse(readFileSync('node_modules/vega-datasets/data/movies.json', 'utf8')) as Record<
    string,
    unknown
  >[];
  const ofFilms = films.map((film) =>
    ['Title', 'Director', 'Major Genre', 'Distributor'].map((key) => film[key] ?? '').join(' '),
  );
  const pages = readdirSync('docs', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'));
  const paragraphs = pages.flatMap((page) => readFileSync(join('docs', page), 'utf8').split(/\n\s*\n/));
  // Of single words: what a compound is in addition to its parts FTS5 is not given.
  return [...ofFilms, ...paragraphs]
    .map((text) => text.replace(/[^A-Za-z0-9]+/g, ' ').trim())
    .filter((text) => text !== '');
}

const LIMIT = 10;
/** Scores are sums of a few doubles; what is nearer than this is a tie, in which the two order by different ids. */
const TIE = 1e-9;

describe('text relevance: our BM25 and that of SQLite FTS5', function () {
  this.timeout(60_000);
  const why = withoutFts5();
  const text = new MemoryTextIndex({
    schema: { textFields: [{ name: 'text', boost: 1, stopWords: false }], bm25: { k1: 1.2, b: 0.75 } },
    entities: new Entities(),
  });
  let fts5: Fts5;
  /** Each a few words of one document. */
  const queries: string[][] = [];
  let theirs: readonly (readonly (readonly [id: number, rank: number])[])[];

  before(async function () {
    if (why !== undefined) {
      if (process.env.CI !== undefined) assert.fail(why);
      console.log(`      SKIPPED: ${why}`);
      this.skip();
    }
    const { lexicon } = text.index;
    fts5 = openFts5();
    const rows: [number, string][] = [];
    for (const [i, written] of texts().entries()) {
      const count = lexicon.read(written).found;
      // FTS5 counts empty texts among those an average length is made of.
      if (count === 0) continue;
      text.put(i + 1, { text: written });
      lexicon.read(written);
      const terms = Array.from(lexicon.found.subarray(0, count), (word) => lexicon.termOf(word));
      // Tokens that no tokenizer would change: the number of each term.
      rows.push([i + 1, terms.map((term) => `t${term}`).join(' ')]);
      const words = [...new Set(terms)].map((term) => lexicon.terms.texts[term]!);
      const at = (i * 7) % Math.max(words.length, 1);
      if (words.length >= 4 && i % 4 === 0) queries.push(words.slice(at, at + 1 + (i % 3)));
    }
    await fts5.add(rows);
    const answer = await fts5.search(
      queries.map((terms) => terms.map((term) => `t${lexicon.terms.find(term)}`).join(' OR ')),
    );
    theirs = answer.answers;
  });

  after(() => fts5?.close());

  const rank = (terms: readonly string[]) => text.rank(terms.map((term) => ({ term, weight: 1 })));

  it('the same documents match, and of the ten best 99 of 100 are the same', () => {
    assert.ok(queries.length > 700, `${queries.length} queries`);
    let same = 0;
    let all = 0;
    const different: string[] = [];
    for (const [i, terms] of queries.entries()) {
      const ranking = rank(terms);
      const hits = theirs[i]!;
      assert.equal(ranking.total, hits.length, terms.join(' '));
      const scores = new Map(hits.map(([id, bm25]) => [id, -bm25]));
      const ours = ranking.after(undefined, LIMIT);
      // The tenth best of theirs: ours is one of theirs when it scores no less there.
      const least = -hits[Math.min(LIMIT, hits.length) - 1]![1];
      const agreeing = ours.filter(({ entity }) => scores.get(entity)! >= least - TIE).length;
      same += agreeing;
      all += ours.length;
      if (agreeing < ours.length) different.push(terms.join(' '));
    }
    assert.ok(
      same / all >= 0.99,
      `${((100 * same) / all).toFixed(2)} % of ${all}; not for: ${different.slice(0, 20).join('; ')}`,
    );
    // Where they differ, it is by the idf: a query of one term has only one, and its order cannot depend on it.
    assert.deepEqual(
      different.filter((query) => !query.includes(' ')),
      [],
    );
  });

  it('with their idf in place of ours every score of every match is theirs', () => {
    const idf = (term: string): number => {
      const n = text.index.postings.documents(text.index.lexicon.terms.find(term));
      const theirs = Math.log((text.size - n + 0.5) / (n + 0.5));
      return theirs > 0 ? theirs : 1e-6;
    };
    let compared = 0;
    for (const [i, terms] of queries.entries()) {
      const ranking = rank(terms);
      for (const [id, bm25] of theirs[i]!.slice(0, 50)) {
        const score = ranking.explain(id).reduce((sum, { term, value }) => sum + value * idf(term), 0);
        assert.ok(
          Math.abs(score + bm25) <= 1e-9 * Math.max(1, score),
          `${terms.join(' ')}, ${id}: ${score}, theirs ${-bm25}`,
        );
        compared++;
      }
    }
    assert.ok(compared > 5_000, `${compared} scores`);
  });
});
