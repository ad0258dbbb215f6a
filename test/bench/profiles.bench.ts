/** The top 10 of every profile on the realistic world, in one process: the first search, one that knows, one after writes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultWindows } from '../../services/region/rank/rank.ts';
import { type Scored, TopScores } from '../../services/region/scored/scored.ts';
import { type Bench, median, milliseconds as ms } from './bench.ts';
import { RankingOfWorld } from './world/ranking-of-world.ts';
import { BOUNDLESS, describeWorld } from './world/world.ts';

/** The last millisecond of an hour but one second. */
const NOW_MS = 1_800_000_000_000 - 1_000;
const WRITES = 1_000;
const RUNS = 31;
const PROFILES = [
  ...['trending', 'hot', 'new', 'top', 'rising', 'best', 'controversial', 'debated', 'hidden_gems', 'most_viewed'],
  ...['most_liked', 'shuffle', 'fresh_favourites', BOUNDLESS],
];

/** Processor time of one call, ms. */
function processorMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

export const bench: Bench = {
  name: 'profiles',
  title: 'The exact top 10 of each profile on the realistic world, in processor time',
  async run(report, { size }) {
    const directory = mkdtempSync(join(tmpdir(), 'tidal-profiles-'));
    report(`${size.items} items, ${size.signals} signals`);
    const world = new RankingOfWorld({ ...size, embeddings: 0 }, NOW_MS, directory);
    rmSync(directory, { recursive: true });
    const scorerOf = (profile: string, seed = '') =>
      world.scorer(profile, NOW_MS, defaultWindows[profile] ?? 'all', seed);
    const best = (profile: string, seed?: string): readonly Scored[] =>
      world.topK.ranking(scorerOf(profile, seed), undefined, { atMs: NOW_MS }).after(undefined, 10);
    const scan = (profile: string): readonly Scored[] => {
      const scorer = scorerOf(profile);
      const top = new TopScores(10);
      for (let ordinal = 0; ordinal < world.items; ordinal++) {
        const entity = world.entities.entity(ordinal);
        const createdMs = world.createdMs(ordinal);
        const score = scorer.score(entity, createdMs);
        if (score !== Number.NEGATIVE_INFINITY) top.add(entity, score, scorer.ties?.of(entity, createdMs) ?? createdMs);
      }
      return top.sorted();
    };
    const rows = PROFILES.map((profile) => {
      report(profile);
      const first = processorMs(() => best(profile));
      const whole = processorMs(() => assert.deepEqual(scan(profile), best(profile), `${profile} is exact`));
      const known = Array.from({ length: RUNS }, (_, run) => processorMs(() => best(profile, String(run))));
      const written = Array.from({ length: RUNS }, () => {
        for (let write = 0; write < WRITES; write++) world.signal(NOW_MS);
        return processorMs(() => best(profile));
      });
      assert.deepEqual(best(profile), scan(profile), `${profile} is exact`);
      return { what: profile, cells: [first, median(known), median(written), whole].map(ms) };
    });
    return {
      columns: ['the first search', 'the next ones', `after ${WRITES.toLocaleString('en')} signals each`, 'full scan'],
      rows,
      notes: [
        `In one process: ${describeWorld({ ...size, embeddings: 0 })}.`,
        `Medians of ${RUNS}; the first search once, right after all signals were counted, with code that is not compiled yet. \`shuffle\` has another seed each time.`,
        'Before it is timed and after the last signal, each answer is compared with the scan: they are equal.',
      ],
    };
  },
};
