/** The regions' own metrics during a load, scraped from each at a steady pace. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from '../../harness/processes/cluster.ts';
import { metricOf } from '../world/built-world.ts';

export const SCRAPE_MS = 500;
const ANSWER_LIMIT_MS = 120_000;
/** Since the scrape before; the first one that a region has. */
const TURNS = ['tidal_longest_turn_seconds', 'nodejs_eventloop_lag_max_seconds'] as const;

export interface Watched {
  /** Longest turn of each region's event loop, ms. */
  readonly turnMs: ReadonlyMap<string, number>;
  /** Longest lag of any region, ms. */
  readonly lagMs: number;
}

/**
 * Watches while `work` continues, and until each region has answered a scrape after it. What happened before it began does not
 * count.
 */
export async function watchRegions<T>(cluster: Cluster, work: () => Promise<T>): Promise<readonly [T, Watched]> {
  const turnMs = new Map<string, number>();
  let lagMs = 0;
  let over = false;
  const scrape = async (region: string): Promise<void> => {
    // A busy region takes its time. A scrape that was given up would still take the longest turn until then with it.
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const body = await (await fetch(`${cluster.regionUrls.get(region)}/metrics`, { signal })).text();
    const turn = TURNS.map((name) => metricOf(body, name)).find((value) => value !== undefined) ?? Number.NaN;
    turnMs.set(region, Math.max(turnMs.get(region) ?? 0, turn * 1_000));
    lagMs = Math.max(lagMs, (metricOf(body, 'tidal_lag_seconds') ?? 0) * 1_000);
  };
  const watch = async (region: string): Promise<void> => {
    for (let dueMs = performance.now(); !over; dueMs += SCRAPE_MS) {
      await pause(Math.max(0, dueMs - performance.now()));
      await scrape(region);
    }
    await scrape(region);
  };
  await Promise.all(cluster.regionNames.map(scrape));
  turnMs.clear();
  lagMs = 0;
  const watching = Promise.all(cluster.regionNames.map(watch));
  const result = await work().finally(() => {
    over = true;
  });
  await watching;
  return [result, { turnMs, lagMs }];
}
