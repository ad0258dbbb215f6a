/** What the log holds. One event is one accepted write. */

/** A hybrid logical clock value: `milliseconds * 2048 + counter`, one number below 2^53 until the year 2109. */
export type Hlc = number;

/** How many HLC values one millisecond holds; a full counter carries into the next millisecond. */
export const HLC_PER_MS = 2048;

/** The acceptance time of an event in epoch milliseconds, from its HLC. */
export function hlcMs(hlc: Hlc): number {
  return Math.floor(hlc / HLC_PER_MS);
}

/** Weights are logged as integer thousandths: `round(1000 * weight)`, 0 … 10,000,000. */
export const WEIGHT_SCALE = 1000;
export const WEIGHT_LIMIT = 10_000;

/** Item metadata: a flat object. */
export type MetadataValue = string | number | boolean | readonly string[];
export type Metadata = Readonly<Record<string, MetadataValue>>;

/**
 * What a client's `Idempotency-Key` makes of one write (`idempotency.ts`): both in base64url, so that they are map keys,
 * JSON and 24 bytes of a batch alike.
 */
export interface EventKey {
  /** Names the write: 16 bytes, 22 characters. */
  readonly id: string;
  /** Tells two writes under one name apart: 8 bytes, 11 characters. */
  readonly bodyHash: string;
}

interface MaybeKeyed {
  readonly key?: EventKey;
}

/** An event as accepted, before its batch gives it a sequence and a clock value. `entity` is 0 … 2^53−1. */
export type EventBody = MaybeKeyed & UnkeyedBody;

type UnkeyedBody =
  /** `weight` in thousandths; `timeMs` the client's time, or undefined: the acceptance time. */
  | {
      readonly kind: 'signal';
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      readonly timeMs: number | undefined;
    }
  | { readonly kind: 'item'; readonly entity: number; readonly metadata: Metadata }
  | { readonly kind: 'delete'; readonly entity: number }
  | { readonly kind: 'embedding'; readonly entity: number; readonly values: Float32Array };

/**
 * An event of the log. `timeMs` of a signal is min(the client's, the acceptance time); `hlc` is unique within its
 * origin and grows with the sequence.
 */
export type Event = MaybeKeyed & UnkeyedEvent;

type UnkeyedEvent =
  | {
      readonly kind: 'signal';
      readonly hlc: Hlc;
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      readonly timeMs: number;
    }
  | { readonly kind: 'item'; readonly hlc: Hlc; readonly entity: number; readonly metadata: Metadata }
  | { readonly kind: 'delete'; readonly hlc: Hlc; readonly entity: number }
  | { readonly kind: 'embedding'; readonly hlc: Hlc; readonly entity: number; readonly values: Float32Array };

/**
 * The order of last-writer-wins registers: (epoch of the origin, HLC, origin, sequence). A newer leadership supersedes
 * an older one, so clocks of two regions are never compared within an epoch.
 */
export interface Order {
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly origin: string;
  readonly sequence: number;
}

/** Negative when `a` is older than `b`, 0 when they are the same event. */
export function compareOrder(a: Order, b: Order): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1;
  return a.sequence - b.sequence;
}

/** An event with its place in the log. */
export interface PlacedEvent {
  readonly event: Event;
  readonly order: Order;
}

/** Largest encoded event, bytes. */
export const EVENT_LIMIT_BYTES = 256 * 1024;
/** Largest batch. */
export const BATCH_LIMIT_EVENTS = 5_000;
export const BATCH_LIMIT_BYTES = 512 * 1024;
/** Largest message: whole batches; also at most the server's `max_payload` − 8 KiB. */
export const MESSAGE_LIMIT_BYTES = 768 * 1024;
