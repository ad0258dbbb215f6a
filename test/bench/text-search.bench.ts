/** Top ten of two-word queries over real short documents, beside three other full-text indexes in the same run. */
import lunr from 'lunr';
import MiniSearch from 'minisearch';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { lunrQuery, plainQuery } from '../harness/region/state/text-queries.ts';
import { openFts5, withoutFts5 } from '../harness/search/sqlite-fts5.ts';
import { type Bench, type BenchRow, median, timed } from './bench.ts';
import { readGlosses } from './glosses.ts';

const SIZES = [10_000, 100_000];
const ROUNDS = 7;
/** Each contender runs so long before it counts, and in each round. */
const WARM_UP_MS = 1_000;
const ROUND_MS = 200;
const QUERIES = 200;
/** Common words are drawn from so many with the most documents. */
const COMMON_WORDS = 200;
const HITS = 10;
const KINDS = ['words as they come', 'common words'];
const schema = { textFields: [{ name: 'gloss', boost: 1 }], bm25: { k1: 1.2, b: 0.75 } };

interface Round {
  readonly queries: number;
  readonly ms: number;
}

interface Contender {
  readonly name: string;
  readonly indexingMs: number;
  /** Runs some of the queries of the kind; answers how many, and the ms of all of them. */
  run(kind: number): Round | Promise<Round>;
}

export const bench: Bench = {
  name: 'text-search',
  title: 'Text search: top 10 of two-word queries over WordNet glosses, in process',
  nodeFlags: ['--max-old-space-size=6144'],
  async run(report) {
    const why = withoutFts5();
    if (why !== undefined) throw new Error(why);
    const glosses = readGlosses();
    const rows: BenchRow[] = [];
    const notes = [
      `glosses of WordNet 3.0 (apt-get install wordnet-base), shuffled; queries of two words, either suffices: as they come in one gloss (seed 42), or of the ${COMMON_WORDS} terms with the most documents (seed 43); each contender warms up for ${WARM_UP_MS / 1_000} s, then ${ROUNDS} rounds in turn of ${ROUND_MS} ms each, the median round counts`,
      'ours parses the query, ranks, and counts all matches exactly; the others have the same tokens (lunr’s tokenizer, stop words and stemmer), search their own way, and SQLite (through Python’s sqlite3, timed in Python) counts no matches, and was given tokens that were made before its indexing was timed',
      `each answers the same ${QUERIES} queries of a kind; ms are of one query, the mean of all in a round`,
    ];
    for (const size of SIZES) {
      const contenders = await build(glosses.slice(0, size), report, notes);
      for (const [kind, kindName] of KINDS.entries()) {
        const medians = await race(contenders, kind, (what) => report(`${size} documents, ${kindName}, ${what}`));
        for (const [i, { name, indexingMs }] of contenders.entries()) {
          rows.push({
            what: `${size.toLocaleString('en')}, ${kindName}: ${name}`,
            cells: [
              medians[i]!.toFixed(4),
              `${(medians[i]! / medians[0]!).toFixed(1)}×`,
              Math.round((size / indexingMs) * 1_000).toLocaleString('en'),
            ],
          });
        }
      }
      closing?.();
    }
    return { columns: ['ms a query', 'of ours', 'documents indexed/s'], rows, notes };
  },
};

/** The median of the rounds of each contender, in ms a query. */
async function race(contenders: readonly Contender[], kind: number, report: (what: string) => void): Promise<number[]> {
  const repeats: number[] = [];
  for (const { name, run } of contenders) {
    report(`${name} warms up`);
    let spentMs = 0;
    let runs = 0;
    for (; spentMs < WARM_UP_MS; runs++) spentMs += (await run(kind)).ms;
    repeats.push(Math.ceil((runs * ROUND_MS) / spentMs));
  }
  const rounds: number[][] = contenders.map(() => []);
  for (let round = 1; round <= ROUNDS; round++) {
    report(`round ${round}`);
    for (const [i, { run }] of contenders.entries()) {
      let queries = 0;
      let spentMs = 0;
      for (let repeat = 0; repeat < repeats[i]!; repeat++) {
        const { queries: asked, ms } = await run(kind);
        queries += asked;
        spentMs += ms;
      }
      rounds[i]!.push(spentMs / queries);
    }
  }
  return rounds.map(median);
}

let closing: (() => void) | undefined;
/** So that nothing that is found may be left out as unused. */
const sink = { hits: 0 };

async function build(
  documents: readonly string[],
  report: (what: string) => void,
  notes: string[],
): Promise<Contender[]> {
  report(`${documents.length} documents, indexing`);
  const warmUp = new MemoryTextIndex({ schema, entities: new Entities() });
  for (const [id, gloss] of documents.slice(0, 5_000).entries()) warmUp.put(id, { gloss });
  const text = new MemoryTextIndex({ schema, entities: new Entities() });
  const ownMs = timed(() => {
    for (const [id, gloss] of documents.entries()) text.put(id, { gloss });
  });
  notes.push(memoryNote(documents.length, text));
  const kinds = [drawQueries(documents, text), drawCommonQueries(documents, text)];

  const { lexicon } = text.index;
  const known = new Map<string, string>();
  const processTerm = (word: string): string | null => {
    const lower = word.toLowerCase();
    let term = known.get(lower);
    if (term === undefined) {
      const asked = lexicon.asksOf(lower, [0])[0]?.[0];
      // A stop word is in no field.
      term = asked?.fields.length === 1 ? asked.terms[0]! : '';
      known.set(lower, term);
    }
    return term === '' ? null : term;
  };
  const mini = new MiniSearch({ fields: ['gloss'], tokenize: (written) => written.split(/[\s-]+/), processTerm });
  const miniMs = timed(() => mini.addAll(documents.map((gloss, id) => ({ id, gloss }))));

  report(`${documents.length} documents, lunr`);
  let lunrIndex: lunr.Index | undefined;
  const lunrMs = timed(() => {
    lunrIndex = lunr(function () {
      this.ref('id');
      this.field('gloss');
      for (const [id, gloss] of documents.entries()) this.add({ id, gloss });
    });
  });

  const tokens = (written: string): string[] => {
    const { found } = lexicon.read(written);
    return Array.from(lexicon.found.subarray(0, found), (word) => `t${lexicon.termOf(word)}`);
  };
  const fts5 = openFts5();
  closing = () => void fts5.close();
  const fts5Ms = await fts5.add(documents.map((gloss, id) => [id + 1, tokens(gloss).join(' ')]));
  const theirKinds = kinds.map((queries) => queries.map((query) => tokens(query).join(' OR ')));

  const search = (kind: number, one: (query: string) => number): Round => {
    const queries = kinds[kind]!;
    const ms = timed(() => {
      for (const query of queries) sink.hits += one(query);
    });
    return { queries: queries.length, ms };
  };
  return [
    {
      name: 'ours',
      indexingMs: ownMs,
      run: (kind) =>
        search(kind, (query) => {
          const ranking = text.rank(plainQuery(query));
          return ranking.after(undefined, HITS).length + ranking.total;
        }),
    },
    {
      name: 'lunr 2.3',
      indexingMs: lunrMs,
      run: (kind) => search(kind, (query) => lunrIndex!.search(query).slice(0, HITS).length),
    },
    {
      name: 'MiniSearch 7.2',
      indexingMs: miniMs,
      run: (kind) => search(kind, (query) => mini.search(query).slice(0, HITS).length),
    },
    {
      name: `SQLite ${fts5.version} FTS5`,
      indexingMs: fts5Ms,
      run: async (kind) => ({ queries: QUERIES, ms: (await fts5.search(theirKinds[kind]!, HITS)).ms }),
    },
  ];
}

/** Of words as they come: two of one document. */
function drawQueries(documents: readonly string[], text: MemoryTextIndex): string[] {
  const random = seededRandom(42);
  const queries: string[] = [];
  while (queries.length < QUERIES) {
    const gloss = documents[Math.floor(drawFraction(random) * documents.length)]!;
    const words = (gloss.toLowerCase().match(/[a-z]{3,}/g) ?? []).filter(
      (word) => text.rank(lunrQuery(word)).total > 0,
    );
    const [a, b] = [0, 1].map(() => words[Math.floor(drawFraction(random) * words.length)]);
    if (a !== undefined && b !== undefined && a !== b) queries.push(`${a} ${b}`);
  }
  return queries;
}

function drawCommonQueries(documents: readonly string[], { index: { postings, lexicon } }: MemoryTextIndex): string[] {
  const random = seededRandom(43);
  /** By term, a word that has it. */
  const words = new Map<number, string>();
  for (const gloss of documents) {
    const { found } = lexicon.read(gloss);
    for (const word of lexicon.found.subarray(0, found)) {
      const text = lexicon.wordText(word);
      if (lexicon.asksOf(text, [0])[0]?.[0]?.fields.length === 1) words.set(lexicon.termOf(word), text);
    }
  }
  const common = [...words].sort(([a], [b]) => postings.documents(b) - postings.documents(a)).slice(0, COMMON_WORDS);
  const draw = (): string => common[Math.floor(drawFraction(random) * COMMON_WORDS)]![1];
  return Array.from({ length: QUERIES }, () => `${draw()} ${draw()}`);
}

function memoryNote(documents: number, { index }: MemoryTextIndex): string {
  const { postings, lexicon } = index;
  const each = (bytes: number): string => (bytes / postings.size).toFixed(1);
  return (
    `${documents.toLocaleString('en')} documents are ${postings.size.toLocaleString('en')} postings of ${lexicon.size.toLocaleString('en')} words: ` +
    `${each(index.sizeBytes)} bytes a posting in all, ${each(postings.sizeBytes)} of them for postings, ${each(lexicon.sizeBytes)} for words and terms, ` +
    `${each(index.sizeBytes - postings.sizeBytes - lexicon.sizeBytes)} for documents and their words`
  );
}
