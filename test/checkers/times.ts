/** Every event has the time at which it was accepted, whatever clocks did, and counts in the windows it belongs to. */
import assert from 'node:assert/strict';
import { decodeBatch } from '../../services/region/batch/batch.ts';
import { acceptedMs } from '../../shared/protocol/events.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { parsePosition } from '../../shared/protocol/position.ts';
import type { Acknowledged } from '../harness/clients/acknowledged.ts';
import type { Cluster } from '../harness/processes/cluster.ts';
import { batchesOf } from './logs.ts';

/** How far an event's time may be from the time its writer was answered. */
const OFF_LIMIT_MS = 60_000;
const MINUTE_MS = 60_000;
/** Windows, and how old the first write may be for all of them to be in it. */
const windows = { '1h': 50 * MINUTE_MS, '24h': 23 * 60 * MINUTE_MS, '7d': 6 * 24 * 60 * MINUTE_MS } as const;

type Sums = Readonly<Record<keyof typeof windows | 'all' | 'decayed', number>>;

/**
 * To be asked of a cluster that has converged, whose logs are the same everywhere (`logs.ts`), and with the clock of all
 * writers. Returns how many events there are.
 */
export async function checkTimes(cluster: Cluster, told: Acknowledged): Promise<number> {
  const times = await acceptanceTimes(cluster);
  for (const { position, replayed, atMs } of told.acknowledgements) {
    if (replayed) continue;
    const time = times.get(position);
    assert.ok(time !== undefined, `${position} was acknowledged and is in no log`);
    const offMs = time - atMs;
    assert.ok(
      Math.abs(offMs) < OFF_LIMIT_MS,
      `${position} was accepted ${offMs} ms off the time it was acknowledged at`,
    );
  }
  await checkWindows(cluster, told);
  return times.size;
}

/** By place, `origin:sequence`. */
async function acceptanceTimes(cluster: Cluster): Promise<ReadonlyMap<string, number>> {
  const [region = ''] = cluster.regionNames;
  const { body } = await cluster.region<RegionStatus>(region, '/internal/status');
  const times = new Map<string, number>();
  for (const origin of parsePosition(body.durable)?.keys() ?? []) {
    for await (const bytes of batchesOf(cluster, region, origin)) {
      const batch = decodeBatch(bytes);
      for (const [index, event] of batch.events.entries()) {
        const place = `${origin}:${batch.first + index}`;
        const time = acceptedMs(event);
        assert.ok(time < Date.now() + OFF_LIMIT_MS, `${place} is of the future: ${new Date(time).toISOString()}`);
        times.set(place, time);
      }
    }
  }
  return times;
}

/** All that counts at all counts in every window that is longer than the writes are old. */
async function checkWindows(cluster: Cluster, told: Acknowledged): Promise<void> {
  const ageMs = Date.now() - (told.acknowledgements[0]?.atMs ?? Date.now());
  const whole = Object.entries(windows).flatMap(([name, limitMs]) => (ageMs < limitMs ? [name as keyof Sums] : []));
  for (const entity of told.sure.keys()) {
    for (const region of cluster.regionNames) {
      const { body } = await cluster.get<{ at: string; signals: { view?: Sums } }>(`/items/${entity}?region=${region}`);
      const where = `${region}: item ${entity} shows ${JSON.stringify(body)}`;
      assert.ok(Math.abs(Date.parse(body.at) - Date.now()) < OFF_LIMIT_MS, where);
      const sums = body.signals.view;
      assert.ok(sums !== undefined, where);
      for (const window of whole) assert.equal(sums[window], sums.all, where);
      // The half-life of a view is a week.
      if (whole.includes('1h')) assert.ok(sums.decayed > sums.all * 0.99 && sums.decayed <= sums.all * 1.0001, where);
    }
  }
}
