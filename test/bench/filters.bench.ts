/** Filters over a million items: what a put costs, what a selection costs, and what it spares a feed. */

import type { Filter } from '../../services/region/filter/filter.ts';
import { firstPosition, takePage } from '../../services/region/pages/pages.ts';
import { createRank } from '../../services/region/rank/profile-rank.ts';
import type { Profile } from '../../services/region/rank/rank.ts';
import { encodeMetadata, type ItemRegister } from '../../services/region/state/catalog/catalog.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { Entities } from '../../services/region/state/entities/entities.ts';
import { createFilterIndex } from '../../services/region/state/filter-index/bitmap-filter-index.ts';
import type { FilterIndex } from '../../services/region/state/filter-index/filter-index.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { drawFraction, seededRandom } from '../harness/kernel/seeded-random.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { createScanFilterIndex } from '../harness/region/state/scan-filter-index.ts';
import { type Bench, type BenchRow, interleaved, median } from './bench.ts';

const ITEMS = 1_000_000;
const ACTIVE = ITEMS / 10;
const SEED = 5;
const ROUNDS = 5;
const PAGE = 20;
const HOUR_MS = 3_600_000;
const AT_MS = 500_000 * HOUR_MS;

const filters: readonly (readonly [name: string, filters: readonly Filter[]])[] = [
  ['none', []],
  ['author:author 7', [{ field: 'author', operator: 'in', values: ['author 7'] }]],
  [
    'author:author 7, year>=1990',
    [
      { field: 'author', operator: 'in', values: ['author 7'] },
      { field: 'year', operator: '>=', values: ['1990'] },
    ],
  ],
  ['category:category 0', [{ field: 'category', operator: 'in', values: ['category 0'] }]],
  ['category:!category 0', [{ field: 'category', operator: 'not_in', values: ['category 0'] }]],
  ['year>=1990', [{ field: 'year', operator: '>=', values: ['1990'] }]],
  [
    'category:category 0, year>=1990',
    [
      { field: 'category', operator: 'in', values: ['category 0'] },
      { field: 'year', operator: '>=', values: ['1990'] },
    ],
  ],
];

export const bench: Bench = {
  name: 'filters',
  title: `Filters: ${ITEMS.toLocaleString('en')} items with title, category, year and author, ${ACTIVE.toLocaleString('en')} of them active`,
  nodeFlags: ['--expose-gc'],
  async run(report) {
    report('making items');
    const { below, metadata } = world();
    const entities = new Entities();
    const catalog = createRegisters({ entities });
    catalog.load(
      metadata.map((each, entity): [number, ItemRegister] => {
        const order = { epoch: 1, hlc: 1, origin: 'a@a', sequence: entity + 1 };
        const createdMs = AT_MS - below(720 * HOUR_MS);
        return [entity, { order, metadata: encodeMetadata(each), createdMs, updatedMs: 0 }];
      }),
      [],
    );
    const schema = schemaOf(['view', 'positive', 86_400], ['share', 'positive', 86_400]);
    const ledger = createLedger({ schema, entities, createdMs: (ordinal) => catalog.createdMs(ordinal) });
    ledger.upperBounds.fill();
    for (let count = 0; count < ACTIVE; count++) {
      const entity = below(ITEMS);
      ledger.add(entity, 'view', (1 + below(100)) * 1_000, AT_MS - below(48 * HOUR_MS));
      if (count % 8 === 0) ledger.add(entity, 'share', 1_000, AT_MS - below(48 * HOUR_MS));
    }

    report('indexing');
    const before = used();
    const filterIndex = createFilterIndex({ entities, metadataOf: (ordinal) => catalog.metadata(ordinal) });
    const cpu = process.cpuUsage();
    for (const [entity, each] of metadata.entries()) filterIndex.put(entity, each, undefined);
    const { user, system } = process.cpuUsage(cpu);
    const bytes = used() - before;
    const scan = createScanFilterIndex({ entities });
    for (const [entity, each] of metadata.entries()) scan.put(entity, each, undefined);

    const rank = createRank({ schema, entities, catalog, ledger, nowMs: () => AT_MS });
    const feed = (profile: Profile, window: '24h' | 'all', asked: readonly Filter[]) => (): void => {
      const query = { profile, window, entity: undefined, seed: '' };
      takePage(rank.ranking(query, filterIndex.select(asked), { atMs: AT_MS, past: false }), {
        limit: PAGE,
        from: firstPosition,
      });
    };
    const rows = filters.map(([name, asked]): BenchRow => {
      report(name);
      const [first, again, plain, newest, trending] = interleaved(
        [
          () => changed(filterIndex, metadata).select(asked),
          () => filterIndex.select(asked),
          () => scan.select(asked),
          feed('new', 'all', asked),
          feed('trending', '24h', asked),
        ],
        ROUNDS,
      ).map(median);
      const cells = [
        filterIndex.select(asked).count.toLocaleString('en'),
        ms(first!),
        ms(again!),
        ms(plain!),
        ms(newest!),
        ms(trending!),
      ];
      return { what: name, cells };
    });
    return {
      columns: ['items', 'select, ms', 'again, ms', 'select by scan, ms', 'new, ms', 'trending, ms'],
      rows,
      notes: [
        `Index: ${((user + system) / ITEMS / 4).toFixed(2)} µs of processor time a put and field, ${Math.round(bytes / ITEMS)} bytes an item; 20 categories, 105 years, 50,000 authors, a title of its own each.`,
        `“select” is asked after an item was put again, “again” before another is: combined selections are kept until then. “by scan” tests every item's metadata.`,
        `“new” and “trending” are pages of ${PAGE}, with the selection, which is there already: the best of everything are found without looking at everything, the few that a filter leaves are all scored. Medians of ${ROUNDS} rounds, all columns in turn; seed ${SEED}.`,
      ],
    };
  },
};

/** As after a write: nothing that was combined is kept. */
function changed(filterIndex: FilterIndex, metadata: readonly Metadata[]): FilterIndex {
  filterIndex.put(0, metadata[0]!, metadata[0]!);
  return filterIndex;
}

function world(): { below: (limit: number) => number; metadata: readonly Metadata[] } {
  const random = seededRandom(SEED);
  const below = (limit: number): number => Math.floor(drawFraction(random) * limit);
  const metadata = Array.from({ length: ITEMS }, (_, entity) => ({
    title: `The title of item ${entity}, part ${below(1_000)}`,
    category: `category ${Math.floor(20 * drawFraction(random) ** 3)}`,
    year: 1920 + below(105),
    author: `author ${below(50_000)}`,
  }));
  // As from the wire: flat strings, none of them shared.
  return { below, metadata: JSON.parse(JSON.stringify(metadata)) as Metadata[] };
}

function used(): number {
  // Once is not enough for what hangs on what was freed.
  for (let times = 0; times < 3; times++) globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function ms(value: number): string {
  return value < 0.0995 ? value.toFixed(4) : value.toFixed(value < 10 ? 2 : 0);
}
