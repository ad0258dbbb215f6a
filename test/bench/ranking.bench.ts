/** Rows 4 and 13: the exact top 10 beside a full scan of the same ledger, and how it grows. */
import assert from 'node:assert/strict';
import type { ScoredProfile } from '../../services/region/rank/profiles.ts';
import { type Scored, TopScores } from '../../services/region/scored/scored.ts';
import { type Bench, type BenchRow, median, timed } from './bench.ts';
import { NOW_MS, RankingWorld } from './ranking-world.ts';

const SIZES = [10_000, 100_000, 1_000_000];
const PROFILES: readonly ScoredProfile[] = [
  'trending',
  'hot',
  'new',
  'top',
  'most_viewed',
  'rising',
  'hidden_gems',
  'controversial',
  'debated',
  'shuffle',
];
const WORLDS = [
  ...SIZES.map((items) => [items, 'chronological', PROFILES] as const),
  [1_000_000, 'random', ['trending', 'hot', 'new'] as const] as const,
];
const SEED = 20_261_125;
const TOP_RUNS = 301;
const SCAN_RUNS = 5;

function scan(world: RankingWorld, profile: ScoredProfile): Scored[] {
  const scorer = world.scorer(profile);
  const top = new TopScores(10);
  for (let ordinal = 0; ordinal < world.items; ordinal++) {
    const entity = world.entities.entity(ordinal);
    const createdMs = world.createdMs(ordinal);
    top.add(entity, scorer.score(entity, createdMs), scorer.ties?.of(entity, createdMs) ?? createdMs);
  }
  return top.sorted();
}

function best(world: RankingWorld, profile: ScoredProfile): readonly Scored[] {
  return world.topK.ranking(world.scorer(profile), undefined, { atMs: NOW_MS }).after(undefined, 10);
}

export const bench: Bench = {
  name: 'ranking',
  title: 'The exact top 10 of a feed, beside a full scan of the same ledger',
  async run(report) {
    const rows: BenchRow[] = [];
    for (const [items, order, profiles] of WORLDS) {
      report(`${items} items, ${items * 3} signals over a tenth of them`);
      const world = new RankingWorld(items, SEED, order);
      world.play(items * 3, items / 10, SEED + 1);
      for (const profile of profiles) {
        report(`${items} items: ${profile}`);
        assert.deepEqual(best(world, profile), scan(world, profile), `${profile} is exact`);
        for (let warm = 0; warm < 200; warm++) best(world, profile);
        const ours: number[] = [];
        const whole: number[] = [];
        for (let round = 0; round < SCAN_RUNS; round++) {
          for (let run = 0; run < TOP_RUNS / SCAN_RUNS; run++) ours.push(timed(() => best(world, profile)));
          whole.push(timed(() => scan(world, profile)));
        }
        const [top, full] = [median(ours), median(whole)];
        ours.sort((a, b) => a - b);
        const cells = [
          items.toLocaleString('en'),
          `${(top * 1_000).toFixed(1)} µs`,
          `${(ours[Math.floor(ours.length * 0.95)]! * 1_000).toFixed(1)} µs`,
          `${(full * 1_000).toFixed(0)} µs`,
          `${(full / top).toFixed(0)}×`,
          String(world.topK.scored),
        ];
        rows.push({ what: order === 'random' ? `${profile}, items in no order` : profile, cells });
      }
    }
    return {
      columns: ['items', 'top 10, median', 'p95', 'full scan, median', 'ratio', 'items scored'],
      rows,
      notes: [
        'In process. A tenth of the items has signals: three events an item in all, Zipf over the active ones, of the six signals of the default schema, within the last 48 hours.',
        'Items are created one after the other over 90 days, as they are in life; the last rows have them in no order, so that no block of neighbours is of one age.',
        'Before it is timed, each answer is compared with the scan: they are equal.',
        `Seed ${SEED}. ${TOP_RUNS} searches and ${SCAN_RUNS} scans in turn.`,
      ],
    };
  },
};
