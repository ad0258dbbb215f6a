/** Counts in every region what the load has written: nothing acknowledged may be missing, and nothing counts twice. */
import type { RememberedWrite } from './load.ts';
import { copiesIn, milliweightOf } from './slots.ts';
import type { Surface } from './surface.ts';

/** Ids of one read. */
const READ_LIMIT = 200;
/** Writes that are named in a report, of each kind. */
const NAMED_LIMIT = 20;

export interface Counted {
  /** Writes that were answered with 200. */
  readonly acknowledged: number;
  /** Writes that were never acknowledged; how many of them count nevertheless, in the region that shows most of them. */
  readonly failed: number;
  readonly failed_but_counted: number;
  /** Acknowledged writes that a region lacks. */
  readonly lost: number;
  /** Writes that a region counts more than once. */
  readonly doubled: number;
  /** Writes that were refused each time, and count in a region: a refused request changes nothing. */
  readonly refused_but_counted: number;
  /** By region, in the order of the topology. */
  readonly regions: Readonly<Record<string, { readonly lost: number; readonly doubled: number }>>;
  /** The first of them, as `region: item 12, weight 0.004: lost`. */
  readonly named: readonly string[];
}

export interface CountOptions {
  readonly surface: Pick<Surface, 'sums'>;
  readonly regions: readonly string[];
  readonly writes: readonly RememberedWrite[];
  readonly signal: string;
}

export async function countWrites({ surface, regions, writes, signal }: CountOptions): Promise<Counted> {
  const entities = [...new Set(writes.map(({ entity }) => entity))];
  const lost = new Set<RememberedWrite>();
  const doubled = new Set<RememberedWrite>();
  const refusedButCounted = new Set<RememberedWrite>();
  const failedButCounted = new Set<RememberedWrite>();
  const named: string[] = [];
  const byRegion: Record<string, { lost: number; doubled: number }> = {};
  for (const region of regions) {
    const found = { lost: 0, doubled: 0 };
    const sums = new Map<number, number>();
    for (let from = 0; from < entities.length; from += READ_LIMIT) {
      const some = await surface.sums(region, entities.slice(from, from + READ_LIMIT), signal);
      for (const [entity, sum] of some) sums.set(entity, sum);
    }
    const copies = new Map([...sums].map(([entity, sum]) => [entity, copiesIn(sum)]));
    for (const write of writes) {
      const times = copies.get(write.entity)?.[write.slot] ?? 0;
      const name = (what: string): void => {
        const weight = milliweightOf(write.slot) / 1_000;
        if (named.length < NAMED_LIMIT) named.push(`${region}: item ${write.entity}, weight ${weight}: ${what}`);
      };
      if (times === 0 && write.outcome === 'acknowledged') {
        lost.add(write);
        found.lost++;
        name('lost');
      }
      if (times > 1) {
        doubled.add(write);
        found.doubled++;
        name(`counts ${times} times`);
      }
      if (times === 0 || write.outcome === 'acknowledged') continue;
      failedButCounted.add(write);
      if (write.outcome !== 'failed') continue;
      refusedButCounted.add(write);
      name('counts, and was refused');
    }
    byRegion[region] = found;
  }
  const acknowledged = writes.filter(({ outcome }) => outcome === 'acknowledged').length;
  return {
    acknowledged,
    failed: writes.length - acknowledged,
    failed_but_counted: failedButCounted.size,
    lost: lost.size,
    doubled: doubled.size,
    refused_but_counted: refusedButCounted.size,
    regions: byRegion,
    named,
  };
}
