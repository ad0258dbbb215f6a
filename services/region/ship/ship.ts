/**
 * Ship: publishes this region's own origins (the present one and, after a restart, older tails) from the log to the stream.
 *
 * A log has an own origin for every former term, nearly all of them complete everywhere. So the present one has every other turn,
 * and the first one after a connect; older ones share the rest, one request each in turn; those that every other region reports
 * complete, or that are trimmed completely, are not requested at all.
 *
 * Per origin one message in flight, with the stream sequence of the subject's last message as expectation. After any error or
 * disconnect the mark is *unknown* and is read again from the stream (`lastOf`). Only durable batches are shipped.
 *
 * What a crash leaves: a message that may or may not be in the stream; the re-read mark decides. A second publish is harmless,
 * because receivers skip by position.
 */
import type { Durability } from '../../../shared/protocol/internal.ts';

export interface Ship {
  /** Whether the stream accepts messages: connected, not partitioned, and no answer outstanding for more than a second. */
  readonly healthy: boolean;
  /**
   * Own durable events the stream has not acknowledged, as far as this process knows; undefined until the stream was queried for
   * every origin that was in the log at the start.
   */
  readonly unshipped: number | undefined;
  start(): void;
  /** Called when new durable batches are in the log: of this own origin; absent: of any. */
  notify(origin?: string): void;
  /** Highest sequence of an own origin that the stream acknowledged, as far as this process knows; 0 when none. */
  acknowledged(origin: string): number;
  /**
   * True once the stream acknowledged `origin` up to `sequence`. False after `limitMs`, or at once when the stream is
   * not healthy, unless `required` is `stream`.
   */
  confirmed(origin: string, sequence: number, limitMs: number, required: Durability): Promise<boolean>;
  /** Switches shipping off (a partition) and on again. Off: resolves when nothing is in flight. */
  setEnabled(enabled: boolean): Promise<void>;
  stop(): Promise<void>;
}
