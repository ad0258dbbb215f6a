/**
 * Role: who leads, as this region knows it, and whether it may accept writes now.
 *
 * The record is kept in the control key. Every region stores the highest it has seen on its own disk, before it acts on it
 * (unless the disk is full), and reports it. The key is *read* every second and at each reconnect, and at once when a router
 * asks. Rules:
 *
 * - a higher epoch wins, from any source (the key, a peer's report);
 * - at the same epoch the key wins over the stored record: another nonce there means step down or follow;
 * - a lower epoch in the key is ignored (the routers repair the key);
 * - no write is accepted after a start until this process has read the key or, if the key is unavailable, another region has
 *   answered and none that answers knows a higher epoch (in a single-region topology: the region itself);
 * - the same applies after the process was paused for more than a second: it accepts nothing until the key was read again, by a
 *   read that began afterwards;
 * - a record with a handover stops the leader from accepting until a record without it is read;
 * - a record that names no region of the topology, is malformed, or has an epoch far beyond the known one is refused wherever it
 *   is found, on the region's own disk too, and named in the status.
 *
 * A full disk: a record that cannot be stored is acted on nevertheless, so that a leader with a full disk can hand over. No
 * region accepts in an epoch of which its disk does not name it the leader, so a crash that loses such a record only removes a
 * restriction, and the rule for a start applies before any write.
 *
 * What a crash leaves: the remembered record; newer ones were acted on only by refusing.
 */

import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type { HandoverReply } from '../../../shared/protocol/internal.ts';
import type { Position } from '../../../shared/protocol/position.ts';
import type { Gate } from '../intake/intake.ts';

export interface Role {
  /** The highest record seen; undefined: none ever. */
  readonly leadership: Leadership | undefined;
  readonly leads: boolean;
  /** The record on the disk, which is reported; older than `leadership` only while the disk is full. */
  readonly remembered: Leadership | undefined;
  /** The highest epoch this region has accepted as valid, of records and of its log. Epochs far beyond it are refused. */
  readonly knownEpoch: number;
  /** The records that are refused as invalid now, one sentence each. */
  readonly refused: readonly string[];
  /** Whether this region may accept writes sent for `epoch` now. */
  gate(epoch: number): Gate;
  /** What a handover waits for once nothing more is accepted: drains the intake and resolves to the durable position. */
  onHandover(drain: () => Promise<Position>): void;
  start(): void;
  /** Reads the record now. Never throws: an unreadable key changes nothing. */
  refresh(): Promise<void>;
  /**
   * Stops accepting for the handover `id`, drains what was admitted, and returns the final durable position. Throws a `Refusal`
   * when this region does not lead or the key does not name that handover.
   */
  handOver(id: string): Promise<HandoverReply>;
  stop(): Promise<void>;
}
