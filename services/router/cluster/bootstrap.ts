/**
 * Chooses the leader when the control key is missing or invalid. The key may be missing because the cluster is new, or because
 * the NATS volume was lost: then the regions' stored records decide, never the topology's default. In case disks were lost or
 * restored from backups too, the epochs of the origins in their logs count as well.
 */
import { nextEpoch } from '../../../shared/leadership/epochs.ts';
import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type { Topology } from '../../../shared/topology/topology.ts';

/** A majority that never saw a record is enough after the key was missing this long. */
export const MAJORITY_AFTER_MS = 30_000;

export interface MissingKey {
  readonly topology: Topology;
  /** The answer of each region; a region without an entry did not answer. */
  readonly answers: ReadonlyMap<string, Leadership | 'never'>;
  /** The highest record seen by this process from any source. */
  readonly remembered: Leadership | undefined;
  /** The highest epoch of an origin in any region's log; 0 when there is none. */
  readonly loggedEpoch: number;
  /** How long the key has been seen without a record, without interruption. */
  readonly missingForMs: number;
}

/** The record to create, without its nonce; undefined: more answers are needed. */
export function chooseRecord(missing: MissingKey): { readonly leader: string; readonly epoch: number } | undefined {
  const { topology, answers, remembered, loggedEpoch, missingForMs } = missing;
  let highest = remembered;
  for (const answer of answers.values()) {
    if (answer !== 'never' && answer.epoch > (highest?.epoch ?? 0)) highest = answer;
  }
  const total = topology.regions.length;
  const unresponsive = total - answers.size;
  const names = topology.regions.map(({ name }) => name);
  const after = (highestEpoch: number, leader: string) => ({
    leader,
    epoch: nextEpoch({ highest: highestEpoch, unresponsive: unresponsive > 0, leader, regions: names }),
  });
  if (highest !== undefined) return after(Math.max(highest.epoch, loggedEpoch), highest.leader);
  const agreed = unresponsive === 0 || (answers.size * 2 > total && missingForMs >= MAJORITY_AFTER_MS);
  if (!agreed) return undefined;
  // Epoch 1 belongs to the topology's first leader: an unresponsive region cannot know another leader of it.
  return loggedEpoch === 0 ? { leader: topology.firstLeader, epoch: 1 } : after(loggedEpoch, topology.firstLeader);
}
