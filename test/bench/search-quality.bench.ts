/** How often a query that is misspelt, half typed, accented or re-ordered finds its title, beside two other indexes. */
import { readFileSync } from 'node:fs';
import MiniSearch from 'minisearch';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { MemoryTextIndex } from '../../services/region/state/text/text-index.ts';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { plainQuery } from '../harness/region/state/text-queries.ts';
import { openFts5, withoutFts5 } from '../harness/search/sqlite-fts5.ts';
import { type Bench, type BenchRow, milliseconds, quantile, timed } from './bench.ts';
import { readGlosses } from './glosses.ts';

const QUERIES = 300;
/** MiniSearch takes long for each. */
const GLOSS_QUERIES = 40;
const WARM_UP = 20;
const HITS = 5;
const GLOSSES = 10_000;
/** A gloss is looked for by so many words from its beginning. */
const GLOSS_WORDS = 6;
const schema = { textFields: [{ name: 'title', boost: 1 }], bm25: { k1: 1.2, b: 0.75 } };

type Draw = () => number;
type Kind = readonly [name: string, spoil: (title: string, draw: Draw) => string];

const kinds: readonly Kind[] = [
  ['as written', (title) => title],
  ['one typo', withTypo],
  ['first 60 % of the letters', (title) => title.slice(0, Math.ceil(title.length * 0.6))],
  ['accented', (title) => title.replace(/[aeiou]/g, (vowel) => `${vowel}\u0301`).normalize('NFC')],
  ['re-ordered', (title, draw) => shuffled(title.split(' '), draw).join(' ')],
];

interface Contender {
  readonly name: string;
  /** Of each query the ids of the first {@link HITS}, and ms. */
  search(queries: readonly string[]): Promise<readonly { readonly ids: readonly number[]; readonly ms: number }[]>;
  close(): void;
}

export const bench: Bench = {
  name: 'search-quality',
  title: 'Quality of search: misspelt, half-typed, accented and re-ordered queries',
  nodeFlags: ['--max-old-space-size=4096'],
  async run(report) {
    const why = withoutFts5();
    if (why !== undefined) throw new Error(why);
    const rows: BenchRow[] = [];
    const corpora = [
      { name: 'films', count: QUERIES, texts: readFilms(), queryOf: (title: string) => title },
      {
        name: 'glosses',
        count: GLOSS_QUERIES,
        texts: readGlosses().slice(0, GLOSSES),
        queryOf: (gloss: string) => (gloss.match(/[A-Za-z]+/g) ?? []).slice(0, GLOSS_WORDS).join(' '),
      },
    ];
    const notes = [
      `success@${HITS}: of ${QUERIES} queries over the films and ${GLOSS_QUERIES} over the glosses (seed 7) the share whose title, or one with the same words, is among the first ${HITS}`,
      'films: the titles of vega-datasets that have a word of at least four letters; the query is the title',
      `glosses: ${GLOSSES.toLocaleString('en')} of WordNet 3.0 (apt-get install wordnet-base); the query is the first ${GLOSS_WORDS} words of one`,
      'a typo: a letter of a word of at least four is left out, doubled, replaced, or swapped with the next one; the first one is not changed',
      'MiniSearch: fuzzy 0.2 and prefix. SQLite FTS5: its trigram tokenizer, any of the trigrams of the query, by its bm25',
      'ms: median and 99th percentile of one query, in process; SQLite’s is the mean, timed in Python',
    ];
    for (const { name: corpus, count, texts, queryOf } of corpora) {
      report(`${corpus}: indexing`);
      const contenders = [ours(texts), mini(texts), await trigrams(texts)];
      for (const [kind, spoil] of kinds) {
        report(`${corpus}: ${kind}`);
        const asked = drawQueries(texts, queryOf, spoil, count);
        for (const { name, search } of contenders) {
          const answers = await search(asked.map(({ query }) => query));
          const found = answers.filter(({ ids }, at) => ids.some((id) => sameWords(texts[id]!, texts[asked[at]!.id]!)));
          const ms = answers.map((answer) => answer.ms);
          report(`${corpus}, ${kind}, ${name}: ${found.length} of ${answers.length}`);
          rows.push({
            what: `${corpus}, ${kind}: ${name}`,
            cells: [
              (found.length / answers.length).toFixed(3),
              milliseconds(quantile(ms, 0.5)),
              milliseconds(quantile(ms, 0.99)),
            ],
          });
        }
      }
      for (const { close } of contenders) close();
    }
    return { columns: [`success@${HITS}`, 'median', 'p99'], rows, notes };
  },
};

function readFilms(): readonly string[] {
  const films = JSON.parse(readFileSync('node_modules/vega-datasets/data/movies.json', 'utf8')) as {
    readonly Title: unknown;
  }[];
  return films.flatMap(({ Title: title }) => (typeof title === 'string' && title.trim() !== '' ? [title.trim()] : []));
}

/** Of different texts. */
function drawQueries(
  texts: readonly string[],
  queryOf: (text: string) => string,
  spoil: Kind[1],
  count: number,
): { readonly id: number; readonly query: string }[] {
  const random = seededRandom(7);
  const draw: Draw = () => drawFraction(random);
  const drawn = new Map<number, string>();
  while (drawn.size < count) {
    const id = Math.floor(draw() * texts.length);
    const text = queryOf(texts[id]!);
    const words = text.match(/\p{L}+/gu) ?? [];
    if (drawn.has(id) || !words.some((word) => word.length >= 4)) continue;
    drawn.set(id, spoil(text, draw));
  }
  return Array.from(drawn, ([id, query]) => ({ id, query }));
}

function withTypo(title: string, draw: Draw): string {
  const words = [...title.matchAll(/[A-Za-z]{4,}/g)];
  if (words.length === 0) return title;
  const word = words[Math.floor(draw() * words.length)]!;
  const at = word.index + 1 + Math.floor(draw() * (word[0].length - 2));
  const letter = String.fromCharCode(97 + Math.floor(draw() * 26));
  const before = title.slice(0, at);
  const [own, next] = [title[at]!, title[at + 1]!];
  switch (Math.floor(draw() * 4)) {
    case 0:
      return before + title.slice(at + 1);
    case 1:
      return before + own + title.slice(at);
    case 2:
      return before + letter + title.slice(at + 1);
    default:
      return before + next + own + title.slice(at + 2);
  }
}

function shuffled<T>(list: readonly T[], draw: Draw): readonly T[] {
  const own = [...list];
  for (let i = own.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [own[i], own[j]] = [own[j]!, own[i]!];
  }
  return own;
}

function sameWords(a: string, b: string): boolean {
  const words = (text: string): string => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ');
  return a === b || words(a) === words(b);
}

function each(queries: readonly string[], search: (query: string) => readonly number[]) {
  // Some before they count, so that everything is compiled.
  for (const query of queries.slice(0, WARM_UP)) search(query);
  return Promise.resolve(
    queries.map((query) => {
      let ids: readonly number[] = [];
      const ms = timed(() => {
        ids = search(query);
      });
      return { ids, ms };
    }),
  );
}

function ours(texts: readonly string[]): Contender {
  const text = new MemoryTextIndex({ schema, entities: new Entities() });
  for (const [id, title] of texts.entries()) text.put(id, { title });
  const one = (query: string): number[] => {
    const ranking = text.rank(plainQuery(query));
    return ranking.after(undefined, HITS).map(({ entity }) => entity);
  };
  return { name: 'ours', search: (queries) => each(queries, one), close: () => {} };
}

function mini(texts: readonly string[]): Contender {
  const index = new MiniSearch({ fields: ['title'], searchOptions: { fuzzy: 0.2, prefix: true } });
  index.addAll(texts.map((title, id) => ({ id, title })));
  const one = (query: string): number[] =>
    index
      .search(query)
      .slice(0, HITS)
      .map(({ id }) => id as number);
  return { name: 'MiniSearch 7.2', search: (queries) => each(queries, one), close: () => {} };
}

async function trigrams(texts: readonly string[]): Promise<Contender> {
  const fts5 = openFts5('trigram');
  await fts5.add(texts.map((title, id) => [id + 1, title]));
  const queryOf = (text: string): string => {
    const lower = text.toLowerCase();
    const all = new Set<string>();
    for (let at = 0; at + 3 <= lower.length; at++) all.add(`"${lower.slice(at, at + 3).replaceAll('"', '""')}"`);
    return all.size === 0 ? '"zzz"' : [...all].join(' OR ');
  };
  return {
    name: `SQLite ${fts5.version} FTS5, trigrams`,
    async search(queries) {
      const { ms, answers } = await fts5.search(queries.map(queryOf), HITS);
      return answers.map((hits) => ({ ids: hits.map(([id]) => id - 1), ms: ms / queries.length }));
    },
    close: () => void fts5.close(),
  };
}
