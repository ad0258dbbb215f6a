/** The dearest queries there are, and what is refused: 100,000 documents with very many words, one turn of the event loop each. */
import { Entities } from '../../services/region/state/entities/entities.ts';
import { QUERY_LIMIT_STEPS } from '../../services/region/state/text/query/query-cost.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import { Refusal } from '../../shared/errors/errors.ts';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { lunrQuery } from '../harness/region/state/text-queries.ts';
import { type Bench, type BenchRow, median, timed } from './bench.ts';

const DOCUMENTS = 100_000;
const ROUNDS = 9;
const fields = ['title', 'description', 'category', 'tags'];
const schema = { textFields: fields.map((name) => ({ name, boost: 1 })), bm25: { k1: 1.2, b: 0.75 } };
const times = (count: number, word: string): string => Array.from({ length: count }, () => word).join(' ');

export const bench: Bench = {
  name: 'text-worst',
  title: 'Text search: the worst queries at 100,000 documents',
  async run(report) {
    const random = seededRandom(7);
    const syllable = (): string =>
      'bcdfghjklmnprstvwyz'[Math.floor(drawFraction(random) * 19)]! + 'aeiou'[Math.floor(drawFraction(random) * 5)]!;
    const word = (): string => Array.from({ length: 2 + Math.floor(drawFraction(random) * 4) }, syllable).join('');
    const common = Array.from({ length: 32 }, (_, i) => `common${i}x`);
    report('indexing');
    const wide = indexOf(() => ({
      title: `${word()} ${word()}`,
      description: `${word()} ${word()} ${word()}`,
      tags: [word()],
    }));
    const once = indexOf(() => ({ title: common.join(' ') }));
    const everywhere = indexOf(() => Object.fromEntries(fields.map((name) => [name, common.join(' ')])));
    const cases: [what: string, text: MemoryTextIndex, query: string, passedOver?: number][] = [
      ['32 words, each in every document', once, common.join(' ')],
      ['the same, and `max_per` passes over 2,000 of them', once, common.join(' '), 2_000],
      ['32 required words, each in every document', once, common.map((of) => `+${of}`).join(' ')],
      [
        '31 prohibited words beside one, each in every document',
        once,
        common.map((of, i) => (i === 0 ? of : `-${of}`)).join(' '),
      ],
      ['12 words, each in four fields of every document', everywhere, common.slice(0, 12).join(' ')],
      ['13 words, each in four fields of every document', everywhere, common.slice(0, 13).join(' ')],
      [
        '12 words in one field, in four fields of every document',
        everywhere,
        common
          .slice(0, 12)
          .map((of) => `title:${of}`)
          .join(' '),
      ],
      ['8 × fuzzy~2 of three letters', wide, 'abc~2 xyz~2 qqq~2 zzz~2 xax~2 yyy~2 wvw~2 uuu~2'],
      ['8 × *a*', wide, times(8, '*a*')],
      ['8 × *zzq*', wide, times(8, '*zzq*')],
      ['8 × *samodetq', wide, times(8, '*samodetq')],
      ['8 × *a*e*a*e*ae', wide, times(8, '*a*e*a*e*ae')],
      ['6 × *a*e*i*zo', wide, times(6, '*a*e*i*zo')],
      ['8 × fuzzy~2 of six letters', wide, times(8, 'lanoni~2')],
      ['8 × fuzzy~2 of twelve letters', wide, times(8, 'sanomitesare~2')],
      ['6 × fuzzy~2 of ten letters, none near', wide, times(6, 'sanqmitqre~2')],
      ['32 words, 1,000 characters', wide, times(31, `${'a'.repeat(30)}`)],
    ];
    const rows: BenchRow[] = [];
    for (const [what, text, query, passedOver] of cases) {
      report(what);
      let outcome = '';
      const ms = Array.from({ length: ROUNDS }, () =>
        timed(() => {
          try {
            const ranking = text.rank(lunrQuery(query));
            const page = ranking.after(undefined, 10);
            if (passedOver !== undefined) ranking.after(page.at(-1), passedOver);
            outcome = `${ranking.total.toLocaleString('en')} found`;
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            outcome = 'refused';
          }
        }),
      );
      const steps = (text.lastCost.spent / 1e6).toFixed(2);
      rows.push({
        what,
        cells: [outcome, steps, ms[0]!.toFixed(1), median(ms).toFixed(1), Math.min(...ms).toFixed(1)],
      });
    }
    const completions = ['s', 'ba', 'z'].map((prefix) => {
      const ms = Array.from({ length: 50 }, () => timed(() => wide.suggest(prefix, 10)));
      return `"${prefix}" ${median(ms).toFixed(3)} ms`;
    });
    return {
      columns: ['outcome', 'million steps', 'first, ms', 'median, ms', 'least, ms'],
      rows,
      notes: [
        `three indexes of ${DOCUMENTS.toLocaleString('en')} documents: ${wide.index.lexicon.size.toLocaleString('en')} made-up words (seed 7); 32 words in every title; 32 words in all four fields of every document`,
        `a query may take ${(QUERY_LIMIT_STEPS / 1e6).toFixed(0)} million steps; what would take more is refused when it gets there`,
        `first: what a row runs and none above it did is not compiled yet; the dearest of a kind come first. ${ROUNDS} rounds`,
        `completions over the made-up words, top 10, median of 50: ${completions.join(', ')}`,
      ],
    };
  },
};

function indexOf(document: () => Record<string, string | string[]>): MemoryTextIndex {
  const text = new MemoryTextIndex({ schema, entities: new Entities() });
  for (let id = 0; id < DOCUMENTS; id++) text.put(id, document());
  return text;
}
