/**
 * Role: who leads, as this region knows it, and whether it may accept writes now.
 *
 * The record meets in the control key; every region remembers the highest it has seen on its own disk, before acting on
 * it, and reports it. It is *read* every second and at each reconnect, and at once when a router asks. Rules:
 *
 * - a higher epoch wins, from wherever it comes (the key, a peer's report);
 * - at the same epoch the key wins over what is remembered: another nonce there means step down or follow;
 * - a lower epoch in the key is ignored (the routers repair the key);
 * - no write is accepted after a start until the key was read in this process or, the key away, another region answered
 *   and none that answers knows a higher epoch (a single-region topology: itself);
 * - a record with a hand-over stops the leader from accepting until a record without it is read.
 *
 * What a crash leaves: the remembered record, never older than what was acted on.
 */
import type { HandoverReply } from '../../../shared/protocol/internal.ts';
import type { Leadership } from '../../../shared/protocol/leadership.ts';
import type { Gate } from '../intake/intake.ts';

export interface Role {
  /** The highest record seen; undefined: none ever. */
  readonly leadership: Leadership | undefined;
  readonly leads: boolean;
  /** Whether this region may accept writes sent for `epoch`, at this moment. */
  gate(epoch: number): Gate;
  start(): void;
  /** Reads the record now. Never throws: an unreadable key leaves what is remembered. */
  refresh(): Promise<void>;
  /**
   * Stops accepting for the hand-over `id`, settles what was admitted, and answers the final durable position. Throws a
   * `Refusal` when this region does not lead or the key does not name that hand-over.
   */
  handOver(id: string): Promise<HandoverReply>;
  stop(): Promise<void>;
}
