/**
 * The contents page of `docs/benchmarks/`: what each benchmark asks, what it is to reach, and what its page says was
 * measured. Everything measured is read from the pages, so that it is written in one place.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Entry {
  readonly name: string;
  readonly asks: string;
  /** Absent: it only shows. */
  readonly reach?: string;
  measured(page: PageTable): string;
}

/** The table of a page. */
export class PageTable {
  private readonly columns: readonly string[];
  private readonly rows: readonly (readonly string[])[];

  constructor(page: string) {
    const lines = page.split('\n').filter((line) => line.startsWith('| '));
    const [head = [], ...rows] = lines.map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    );
    this.columns = head;
    this.rows = rows;
  }

  /** The cell in the first row and the last column whose names begin so; where there is none, the page has the word. */
  cell(row: string, column: string): string {
    return this.found(([what]) => what?.startsWith(row) === true, column);
  }

  /** The cell of the row of that name whose second column says `size`. */
  of(row: string, size: string, column: string): string {
    return this.found(([what, items]) => what === row && items === size, column);
  }

  private found(is: (row: readonly string[]) => boolean, column: string): string {
    const index = this.columns.findLastIndex((name) => name.startsWith(column));
    return (index < 0 ? undefined : this.rows.find(is)?.[index]) ?? '…';
  }
}

const SIZES = ['10,000', '100,000', '1,000,000'] as const;

/** In the order of the names. */
export const entries: readonly Entry[] = [
  {
    name: 'bulk-ingest',
    asks: 'bulks of signals over 100,000 items, from the client until three regions have applied them, beside Redis with two replicas',
    reach: '≥ 5× its events/s',
    measured: (page) =>
      `${page.cell('tidalDB, 100,000 items', 'to Redis')}: ${page.cell('tidalDB, 100,000 items', 'events/s')} events/s`,
  },
  {
    name: 'checkpoint',
    asks: 'the longest delay of the event loop while a checkpoint of 1,000,000 items is written',
    reach: '≤ 50 ms',
    measured: (page) => page.cell('longest delay of the event loop during', 'median'),
  },
  {
    name: 'digest',
    asks: 'counting the state of 1,000,000 items and 3,000,000 pairs for `POST /cluster/verify`',
    reach: '≤ 5 s, no turn over 20 ms, ≤ 16 bytes a pair',
    measured: (page) =>
      `${page.cell('counting the state: from', 'median')}, ${page.cell('the longest turn', 'median')}, ${page.cell('memory', 'median')}`,
  },
  {
    name: 'feed-beside-embeddings',
    asks: 'p99 of a feed while 10,000 embeddings arrive, beside the same at rest',
    reach: '≤ 3×',
    measured: (page) =>
      ['10', '100']
        .map((bulk) => {
          const of = (how: string): string => page.cell(`bulks of ${bulk}, ${how}`, 'to rest');
          return `in bulks of ${bulk} ${of('1,000')} at 1,000 a second, ${of('as fast')} as fast as they are taken`;
        })
        .join('; '),
  },
  {
    name: 'filters',
    asks: 'feeds of 1,000,000 items with filters',
    reach: 'a selective filter is faster than none',
    measured: (page) =>
      `trending: ${page.cell('none', 'trending')} ms without, ${page.cell('author:author 7', 'trending')} ms with one for a few items`,
  },
  {
    name: 'isolation',
    asks: 'single writes of 8 clients while 16 others ask the worst reads, on the realistic world, beside the same at rest',
    reach: 'p99 ≤ 2×, the longest turn of a region’s event loop ≤ 20 ms',
    measured: (page) =>
      ['trending', 'controversial', 'hidden_gems', 'a profile of the schema']
        .map((read) => `${read}: ${page.cell(read, 'p99 to rest')}, ${page.cell(read, 'longest turn, us-east')}`)
        .join('; '),
  },
  {
    name: 'keyed-writes',
    asks: 'a signal in a bulk of 20,000 under an idempotency key, beside the same without: at intake, and on disk',
    measured: (page) =>
      ['a key each', 'no keys']
        .map((keys) => {
          const of = (column: string): string => page.cell(`bulks of 20,000, ${keys}`, column);
          return `${of('taken, µs')} µs of processor and ${of('bytes on disk')} bytes with ${keys}`;
        })
        .join('; '),
  },
  {
    name: 'ledger',
    asks: 'one signal into the ledger, beside a counter in a `Map`; the memory of a pair',
    reach: '≤ 5×, ≥ 3 M/s; ≤ 64 bytes a cold pair, ≤ 1,088 a hot one',
    measured: (page) =>
      `${page.cell('signal over 100,000', 'beside')}, ${page.cell('signal over 100,000', 'rate')} over 100,000 items; ` +
      `${page.cell('cold pair', 'each')}, ${page.cell('hot pair', 'each')}`,
  },
  {
    name: 'profiles',
    asks: 'the exact top 10 of each profile on the realistic world, in one process',
    reach: 'trending ≤ 0.5 ms, every profile with a bound ≤ 5 ms',
    measured: (page) =>
      ['trending', 'rising', 'hidden_gems', 'debated', 'shuffle']
        .map((profile) => `${profile}: ${page.cell(profile, 'the next ones')}`)
        .join('; '),
  },
  {
    name: 'ranking',
    asks: 'the exact trending top 10 of 1,000,000 items, beside a full scan',
    reach: '≤ 128 µs, ≥ 50×',
    measured: (page) => `${page.of('trending', '1,000,000', 'top 10')}, ${page.of('trending', '1,000,000', 'ratio')}`,
  },
  {
    name: 'reads',
    asks: 'each read of the realistic world over HTTP, by one client',
    reach: 'p50 of trending ≤ 0.5 ms in process, of every profile with a bound ≤ 5 ms',
    measured: (page) =>
      ['trending', 'controversial', 'hidden_gems', 'a profile of the schema', 'search for two words']
        .map((read) => `${read}: ${page.cell(read, '1 client')}`)
        .join('; '),
  },
  {
    name: 'recovery',
    asks: 'a region of the realistic world catches up with signals that it missed; all regions are verified while clients write',
    reach: '≥ 1 M events/s; ≤ 5 s',
    measured: (page) =>
      `${page.cell('a partitioned region', 'events/s')} events/s; ${page.cell('asked again while', 'median')}, the first time ${page.cell('`POST /cluster/verify`', 'median')}`,
  },
  {
    name: 'restart',
    asks: 'a region with 1,000,000 items and 10,000,000 signals serves again after `kill -9`',
    reach: '≤ 5 s',
    measured: (page) =>
      `feeds ${page.cell('`/feed` (trending) has answered', 'median')}, everything ${page.cell('a filter', 'median')}`,
  },
  {
    name: 'search-quality',
    asks: 'how often a query over film titles has its title among the first five',
    reach: 'one typo ≥ 0.95, the first 60 % of the letters ≥ 0.9',
    measured: (page) =>
      ['one typo', 'first 60 % of the letters', 'accented', 're-ordered']
        .map((kind) => `${kind} ${page.cell(`films, ${kind}: ours`, 'success')}`)
        .join(', '),
  },
  {
    name: 'signal-forms',
    asks: 'a single signal among 17 that arrive together: as an event, beside the same as part of a column',
    measured: (page) =>
      ['as events', 'as a column']
        .map((form) => `${page.cell('17 together', `leader, ${form}`)} µs of the leader’s processor ${form}`)
        .join('; '),
  },
  {
    name: 'text-growth',
    asks: 'a search for a rare word as the documents grow',
    reach: 'less than the documents',
    measured: (page) => SIZES.map((size) => `${page.cell(`${size} documents`, 'rare, µs')} µs`).join(', '),
  },
  {
    name: 'text-indexing',
    asks: '1,000,000 short documents into the text index, from nothing',
    measured: (page) => `${page.cell('into the index', 'documents/s')} documents/s of processor time`,
  },
  {
    name: 'text-search',
    asks: 'the best 10 of a two-word search over real texts, 10,000 and 100,000 of them',
    reach: '≤ 0.2 ms at 10,000; ≥ 50× lunr, ≥ 10× MiniSearch, ≥ 2× SQLite’s FTS5',
    measured: (page) =>
      `${page.cell('10,000, words as they come: ours', 'ms a query')} ms at 10,000; at 100,000 ` +
      ['lunr', 'MiniSearch', 'SQLite']
        .map((peer) => `${page.cell(`100,000, words as they come: ${peer}`, 'of ours')} ${peer}`)
        .join(', '),
  },
  {
    name: 'text-worst',
    asks: 'the dearest searches we know of, 100,000 documents',
    measured: (page) => `32 words that are in every document: ${page.cell('32 words, each in', 'median')} ms`,
  },
  {
    name: 'vectors',
    asks: 'the 10 nearest of 100,000 vectors of 128 dimensions, beside brute force',
    reach: 'recall ≥ 0.95, ≥ 20×',
    measured: (page) =>
      `recall ${page.cell('structured, k = 10', 'recall')}, ${page.cell('structured, k = 10', 'faster')}`,
  },
];

/** `read`: the page of a benchmark, undefined where there is none. */
export function renderContents(read: (name: string) => string | undefined): string {
  const table = (name: string): PageTable => new PageTable(read(name) ?? '');
  const rows = entries.map(({ name, asks, reach = '', measured }) => {
    const page = table(name);
    return `| ${asks} | ${reach} | ${measured(page)} | [${name}](${name}.md) |`;
  });
  const growth = SIZES.map((size) => {
    const ingest = table('bulk-ingest').cell(`tidalDB, ${size} items`, 'µs of processor');
    const rare = table('text-growth').cell(`${size} documents`, 'rare, µs');
    return `| ${size} | ${ingest} µs | ${table('ranking').of('trending', size, 'top 10')} | ${rare} µs |`;
  });
  return `# Benchmarks

What things cost, each beside something that was measured in the same run, and how it grows. \`npm run bench -- <name>\` runs one
and writes its page; \`npm run bench\` runs all. \`bulk-ingest\` needs the package \`redis-server\`, those of texts
\`wordnet-base\`, and \`text-search\` Python 3; they say so where one is missing. Absolute figures are of the machine that the page names; ratios travel.

| what | reach | measured | page |
|---|---|---|---|
${rows.join('\n')}

## Growth

At ten and a hundred times the items: the cost of a signal is meant to stay the same, a feed's not to follow the number of
items, and that of a rare word not to follow the number of documents.

| items | a signal in a bulk, processor time of the whole cluster | trending, top 10 | search for a rare word, top 10 |
|---:|---:|---:|---:|
${growth.join('\n')}

Written by \`npm run bench\` from the pages; \`npm run bench -- --contents\` writes this one alone. Do not edit.
`;
}

export function writtenContents(folder: string): string {
  return renderContents((name) => {
    try {
      return readFileSync(join(folder, `${name}.md`), 'utf8');
    } catch {
      return undefined;
    }
  });
}
