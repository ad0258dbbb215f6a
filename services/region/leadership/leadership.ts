/**
 * Role: who leads, as this region knows it, and whether it may accept writes now.
 *
 * The record meets in the control key; every region remembers the highest it has seen on its own disk, before acting on
 * it where there is room, and reports it. It is *read* every second and at each reconnect, and at once when a router asks. Rules:
 *
 * - a higher epoch wins, from wherever it comes (the key, a peer's report);
 * - at the same epoch the key wins over what is remembered: another nonce there means step down or follow;
 * - a lower epoch in the key is ignored (the routers repair the key);
 * - no write is accepted after a start until the key was read in this process or, the key away, another region answered
 *   and none that answers knows a higher epoch (a single-region topology: itself);
 * - after the process stood still for more than a second the same: it accepts nothing until the key was read again, by a
 *   reading that began afterwards;
 * - a record with a handover stops the leader from accepting until a record without it is read;
 * - what names no region of the topology, is malformed, or has an epoch far beyond the known one is no record: it is
 *   refused wherever it is found, on the own disk too, and named in the status.
 *
 * A full disk: a record that cannot be stored is acted on nevertheless, so that a leader without room can hand over. No
 * region accepts in an epoch that its disk does not name it the leader of, so forgetting such a record in a crash only takes
 * back a restriction, and the rule of the start stands before any write.
 *
 * What a crash leaves: the remembered record; newer ones were acted on only by refusing.
 */

import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type { HandoverReply } from '../../../shared/protocol/internal.ts';
import type { Gate } from '../intake/intake.ts';

export interface Role {
  /** The highest record seen; undefined: none ever. */
  readonly leadership: Leadership | undefined;
  readonly leads: boolean;
  /** The record on its disk, which it reports; older than `leadership` only while the disk is full. */
  readonly remembered: Leadership | undefined;
  /** The highest epoch this region believes: of records and of its log. Nothing far beyond it is believed. */
  readonly knownEpoch: number;
  /** What is refused now as no record of this cluster, one sentence each. */
  readonly refused: readonly string[];
  /** Whether this region may accept writes sent for `epoch`, at this moment. */
  gate(epoch: number): Gate;
  start(): void;
  /** Reads the record now. Never throws: an unreadable key leaves what is remembered. */
  refresh(): Promise<void>;
  /**
   * Stops accepting for the handover `id`, settles what was admitted, and answers the final durable position. Throws a
   * `Refusal` when this region does not lead or the key does not name that handover.
   */
  handOver(id: string): Promise<HandoverReply>;
  stop(): Promise<void>;
}
