/** Random logs of several origins, the same for the same seed. */
import type { Batch } from '../../../services/region/batch/batch.ts';
import type { Event } from '../../../shared/protocol/events.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import { chainOf, startMs } from './batches.ts';

export const origins = ['us-east@aaaaaaaaaa', 'eu-west@bbbbbbbbbb', 'us-east@cccccccccc'];

/** Batches of three origins in three epochs, about the same few entities; some are duplicates of one another's keyed writes. */
export function histories(seed: number, entities = 6): Batch[][] {
  const random = seededRandom(seed);
  const below = (limit: number): number => random.bytes(1)[0]! % limit;
  return origins.map((origin, index) => {
    let hlc = (startMs + below(50)) * 2048;
    const groups = Array.from({ length: 4 + below(4) }, () =>
      Array.from({ length: 1 + below(9) }, (): Event => {
        hlc += 1 + below(4) * 2048;
        const entity = below(entities);
        const kind = below(8);
        // A few ids and bodies that depend on them alone: the origins hold copies of one another's requests.
        const id = below(5);
        if (below(3) === 0) {
          const timeMs = Math.floor(hlc / 2048) - below(3) * 60_000;
          const key = { id: `${'k'.repeat(20)}${id}A`, bodyHash: `aaaaaaaaa${id}A` };
          if (id === 4) return { kind: 'item', hlc, entity: id, metadata: { title: 'keyed' }, key };
          return { kind: 'signal', hlc, entity: id, signal: 'view', weight: 1_000 + id, timeMs, key };
        }
        if (kind === 0) return { kind: 'delete', hlc, entity };
        if (kind < 3) return { kind: 'item', hlc, entity, metadata: { title: `t${below(9)}`, b: 1, a: ['x'] } };
        if (kind < 5) return { kind: 'embedding', hlc, entity, values: Float32Array.of(below(9) / 7, 1) };
        const timeMs = Math.floor(hlc / 2048) - below(200) * 60_000;
        return { kind: 'signal', hlc, entity, signal: below(2) ? 'view' : 'skip', weight: below(250) * 37, timeMs };
      }),
    );
    return chainOf({ origin, epoch: 1 + (index % 3) }, groups);
  });
}
