/**
 * Who leads when the control key is missing. The key may be missing because the cluster is new, or
 * because the NATS volume was lost: then the regions' memory decides, never the topology's default. What they remember is
 * the record and, where disks were lost or put back from backups too, the epochs of the origins in their logs.
 */
import type { Leadership } from '../../../shared/protocol/leadership.ts';
import type { Topology } from '../../../shared/schema/topology.ts';

/** A majority that never saw a record is enough after the key was missing this long. */
export const MAJORITY_AFTER_MS = 30_000;
/** Room for epochs that a silent region may know of. */
export const SILENT_EPOCH_GAP = 1_000;

export interface MissingKey {
  readonly topology: Topology;
  /** What each region answered; a region without an entry did not answer. */
  readonly answers: ReadonlyMap<string, Leadership | 'never'>;
  /** The highest record seen by this process from any source. */
  readonly remembered: Leadership | undefined;
  /** The highest epoch of an origin in any region's log; 0 when there is none. */
  readonly loggedEpoch: number;
  /** How long the key has been seen missing, without interruption. */
  readonly missingForMs: number;
}

/** The record to create, without its nonce; undefined: wait for more answers. */
export function chooseRecord(missing: MissingKey): { readonly leader: string; readonly epoch: number } | undefined {
  const { topology, answers, remembered, loggedEpoch, missingForMs } = missing;
  let highest = remembered;
  for (const answer of answers.values()) {
    if (answer !== 'never' && answer.epoch > (highest?.epoch ?? 0)) highest = answer;
  }
  const total = topology.regions.length;
  const silent = total - answers.size;
  const gap = silent > 0 ? SILENT_EPOCH_GAP : 0;
  if (highest !== undefined) {
    return { leader: highest.leader, epoch: Math.max(highest.epoch, loggedEpoch) + 1 + gap };
  }
  const agreed = silent === 0 || (answers.size * 2 > total && missingForMs >= MAJORITY_AFTER_MS);
  if (!agreed) return undefined;
  return { leader: topology.firstLeader, epoch: loggedEpoch === 0 ? 1 : loggedEpoch + 1 + gap };
}
