/**
 * Repair: by position, from peers. Every region serves whole durable batches of any origin it holds and reports its
 * durable position; on a gap in the stream, or when a peer holds more of any origin than the stream brought, a region
 * fetches what it lacks and takes it through the same door (`Ingest`). Every copy of an origin is a prefix, so the
 * longest one is complete; a dead region's events live on through whoever holds them.
 *
 * What a crash leaves: nothing of its own; what was taken was appended.
 */

export interface Repair {
  start(): void;
  /** Looks now instead of at the next report. */
  nudge(): void;
  setEnabled(enabled: boolean): void;
  stop(): Promise<void>;
}
