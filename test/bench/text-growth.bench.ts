/** What growth does to text search: the same queries at ten and a hundred times the documents. */
import { Entities } from '../../services/region/state/entities/entities.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import { plainQuery } from '../harness/region/state/text-queries.ts';
import { type Bench, type BenchRow, median, timed } from './bench.ts';
import { readGlosses } from './glosses.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const ROUNDS = 9;
/** Documents that have each of the planted words, whatever the size. */
const RARE_DOCUMENTS = 20;
const RARE_WORDS = 50;
const schema = {
  textFields: [
    { name: 'gloss', boost: 1 },
    { name: 'tags', boost: 2 },
  ],
  bm25: { k1: 1.2, b: 0.75 },
};

export const bench: Bench = {
  name: 'text-growth',
  title: 'Text search as the documents grow',
  nodeFlags: ['--max-old-space-size=6144'],
  async run(report) {
    const glosses = readGlosses();
    const rows: BenchRow[] = [];
    for (const size of SIZES) {
      report(`${size} documents`);
      rows.push(measure(glosses, size));
    }
    return {
      columns: [
        'documents indexed/s',
        'bytes a posting',
        'rare, µs',
        'rare + common, µs',
        'two common, µs',
        'update, µs',
      ],
      rows,
      notes: [
        `WordNet glosses, from ${glosses.length.toLocaleString('en')} documents on the same again; each of ${RARE_WORDS} planted words is in ${RARE_DOCUMENTS} documents whatever the size, the common ones (person, plant) in a share of all`,
        `top 10 and the exact number of matches of: a planted word; a planted word and a common one, which looks at the documents of the planted word alone; two common words. The mean of ${RARE_WORDS} queries, the median of ${ROUNDS} rounds`,
        'update: a document is replaced by another, the mean of 1,000 one after another',
      ],
    };
  },
};

function measure(glosses: readonly string[], size: number): BenchRow {
  const text = new MemoryTextIndex({ schema, entities: new Entities() });
  const step = Math.floor(size / (RARE_WORDS * RARE_DOCUMENTS));
  const document = (id: number): { gloss: string; tags: string[] } => ({
    gloss: glosses[id % glosses.length]!,
    tags: id % step === 0 ? [`planted${Math.floor(id / step) % RARE_WORDS}`] : [],
  });
  const indexingMs = timed(() => {
    for (let id = 0; id < size; id++) text.put(id, document(id));
  });
  const planted = Array.from({ length: RARE_WORDS }, (_, i) => `planted${i}`);
  const queries = [planted, planted.map((word) => `${word} person`), planted.map(() => 'person plant')];
  const us: number[][] = queries.map(() => []);
  let found = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, asked] of queries.entries()) {
      const ms = timed(() => {
        for (const query of asked) {
          const ranking = text.rank(plainQuery(query));
          found += ranking.after(undefined, 10).length + ranking.total;
        }
      });
      if (round > 0) us[i]!.push((1_000 * ms) / asked.length);
    }
  }
  if (found === 0) throw new Error('nothing was found');
  const updates = 1_000;
  const updateUs = Array.from({ length: 5 }, (_, round) => {
    const ids = Array.from({ length: updates }, (_, i) => (i * 7_919 + round * 31) % size);
    return timed(() => {
      for (const id of ids) text.put(id, document(id + 1));
    });
  });
  return {
    what: `${size.toLocaleString('en')} documents`,
    cells: [
      Math.round((size / indexingMs) * 1_000).toLocaleString('en'),
      (text.index.sizeBytes / text.index.postings.size).toFixed(1),
      ...us.map((of) => median(of).toFixed(1)),
      ((1_000 * median(updateUs)) / updates).toFixed(1),
    ],
  };
}
