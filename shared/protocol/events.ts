/** The contents of the log. One event is one accepted write. */
import { clip } from '../errors/errors.ts';

/** A hybrid logical clock value: `milliseconds * 2048 + counter`, one number below 2^53 until the year 2109. */
export type Hlc = number;

/** How many HLC values one millisecond holds; a full counter carries into the next millisecond. */
export const HLC_PER_MS = 2048;

/** The millisecond an HLC value belongs to, epoch ms. It gives the order; {@link acceptedMs} is the acceptance time. */
export function hlcMs(hlc: Hlc): number {
  return Math.floor(hlc / HLC_PER_MS);
}

/** The year 2100: no clock is right beyond it, and far enough below 2^53 that a batch never reaches what cannot be encoded. */
export const TIME_LIMIT_MS = Date.UTC(2100, 0);
export const HLC_LIMIT: Hlc = TIME_LIMIT_MS * HLC_PER_MS;

/**
 * Why a value stamped by another region is refused; undefined if it is plausible. A leader has to stamp above accepted values.
 */
export function hlcRefusal(hlc: Hlc): string | undefined {
  return hlc > HLC_LIMIT ? 'is of a time beyond the year 2100' : undefined;
}

/**
 * When an event was accepted, by the wall clock of the region that accepted it, epoch ms. The HLC keeps the order and never steps
 * back, so after a wrong clock it stays ahead; the batch then records by how much, and the time is right again.
 */
export function acceptedMs({ hlc, aheadMs = 0 }: Pick<Event, 'hlc' | 'aheadMs'>): number {
  return hlcMs(hlc) - aheadMs;
}

/** How long a key is known: seven days from the first copy's acceptance, ms. */
export const KEY_KEPT_MS = 7 * 86_400_000;

/** Clocks that differ by no more than this agree, ms; a leader accepts nothing by a clock that does not agree with the others. */
export const CLOCKS_AGREE_MS = 30_000;

/**
 * How far after its own acceptance a retraction may take back, ms: a request has copies of seven days, and clocks differ. One that
 * reached further would take back signals that are given under the key later.
 */
export const RETRACTED_AHEAD_LIMIT_MS = KEY_KEPT_MS + CLOCKS_AGREE_MS;

/** What is wrong with the time up to which a retraction takes back, which was accepted at `acceptedMs`. */
export function retractedTimeFlaw(upToMs: number, acceptedMs: number): string | undefined {
  if (upToMs > TIME_LIMIT_MS) return 'a retraction is of a time beyond the year 2100';
  return upToMs - acceptedMs > RETRACTED_AHEAD_LIMIT_MS
    ? 'a retraction takes back more than seven days beyond its acceptance'
    : undefined;
}

/** Weights are logged as integer thousandths: `round(1000 * weight)`, 0 … 10,000,000. */
export const WEIGHT_SCALE = 1000;
export const WEIGHT_LIMIT = 10_000;

/** Item metadata: a flat object. */
export type MetadataValue = string | number | boolean | readonly string[];
export type Metadata = Readonly<Record<string, MetadataValue>>;

/**
 * The identity of one write under a client's `Idempotency-Key` (`idempotency.ts`): both in base64url, so that they are map keys,
 * JSON and 24 bytes of a batch alike.
 */
export interface EventKey {
  /** Names the write: the key on its route, 12 bytes, and which write of its request it is, 4; 22 characters. */
  readonly id: string;
  /** Distinguishes two writes under one name: 8 bytes, 11 characters. */
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
  /**
   * Takes back the signal under the same key, given with these values; always keyed. From intake: `upToMs` as in {@link Event}, and
   * the event `of` that is taken back.
   */
  | {
      readonly kind: 'retraction';
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      readonly timeMs: number | undefined;
      readonly upToMs?: number;
      readonly of?: { readonly origin: string; readonly sequence: number };
    }
  /** `createdMs`: when the item was created, as the client says; undefined: at the acceptance. */
  | { readonly kind: 'item'; readonly entity: number; readonly metadata: Metadata; readonly createdMs?: number }
  | { readonly kind: 'delete'; readonly entity: number }
  | { readonly kind: 'embedding'; readonly entity: number; readonly values: Float32Array };

/** Changes of metadata: null removes a field (RFC 7396; metadata are flat, so a value replaces the former one whole). */
export type MetadataPatch = Readonly<Record<string, MetadataValue | null>>;

/** A write as it is requested: a patch is logged as a put of the whole metadata, which the leader merges at its position. */
export type WriteBody =
  | EventBody
  | (MaybeKeyed & { readonly kind: 'patch'; readonly entity: number; readonly changes: MetadataPatch });

/** A retraction of the signal at a position: the leader reads its key and its values from the log. */
export interface RetractionAt {
  readonly kind: 'retraction at';
  readonly origin: string;
  readonly sequence: number;
  readonly entity?: undefined;
  readonly key?: undefined;
}

/** A write of a router's request. */
export type RequestedBody = WriteBody | RetractionAt;

/**
 * An event of the log. `timeMs` of a signal is min(the client's, the acceptance time); `hlc` is unique within its
 * origin and grows with the sequence.
 */
export type Event = MaybeKeyed & MaybeAhead & UnkeyedEvent;

interface MaybeAhead {
  /** By how much the HLC was ahead of the wall clock at the acceptance, ms; absent if negligible. */
  readonly aheadMs?: number;
}

type UnkeyedEvent =
  | {
      readonly kind: 'signal';
      readonly hlc: Hlc;
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      readonly timeMs: number;
    }
  /**
   * Takes back what was accepted under its key and body up to `upToMs`: its own acceptance time, or a later one that the clock of
   * another leader gave to what it takes back.
   */
  | {
      readonly kind: 'retraction';
      readonly hlc: Hlc;
      readonly entity: number;
      readonly signal: string;
      readonly weight: number;
      readonly upToMs: number;
    }
  | {
      readonly kind: 'item';
      readonly hlc: Hlc;
      readonly entity: number;
      readonly metadata: Metadata;
      /** Before the acceptance; absent: at the acceptance. */
      readonly createdMs?: number;
    }
  | {
      readonly kind: 'delete';
      readonly hlc: Hlc;
      readonly entity: number;
      /** Replaces an event in quarantine (`shared/quarantine`): deletes what that event would have written, and nothing else. */
      readonly aside?: 'item' | 'embedding' | 'nothing';
      /** Of the put that it replaces. */
      readonly createdMs?: number;
    }
  | { readonly kind: 'embedding'; readonly hlc: Hlc; readonly entity: number; readonly values: Float32Array };

/**
 * The order of last-writer-wins registers: (epoch of the origin, HLC, origin, sequence). A newer leadership wins over an older
 * one, so clocks of two regions are never compared within an epoch.
 */
export interface Order {
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly origin: string;
  readonly sequence: number;
}

/** Negative if `a` is older than `b`, 0 if they are the same event. */
export function compareOrder(a: Order, b: Order): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  if (a.origin !== b.origin) return a.origin < b.origin ? -1 : 1;
  return a.sequence - b.sequence;
}

/** An event with its origin and sequence. */
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

/*
 * The allowed contents of an event, whatever its source: a request (`writes.ts`, `packed-signals.ts`), a message of the stream, a
 * peer's answer or a snapshot (`batch.ts`). An event that violates one of these rules cannot be applied, so it is refused before
 * the append.
 *
 * These rules apply to existing logs and are therefore never tightened. A stricter limit for clients belongs in `parseWrite`.
 */

export const METADATA_FIELDS_LIMIT = 256;
/** Characters of the name of a signal or of a metadata field. */
export const NAME_LIMIT = 128;
/** Bytes of the name of a signal: its length is logged in one byte. */
export const NAME_LIMIT_BYTES = 255;
/** The highest weight, in thousandths. */
export const THOUSANDTHS_LIMIT = WEIGHT_LIMIT * WEIGHT_SCALE;

/** A non-negative integer that a varint can hold: entities, times in ms, clock values, sequences, epochs. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isThousandths(value: unknown): value is number {
  return isCount(value) && value <= THOUSANDTHS_LIMIT;
}

export function isSignalName(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > NAME_LIMIT) return false;
  return value.length * 3 <= NAME_LIMIT_BYTES || Buffer.byteLength(value) <= NAME_LIMIT_BYTES;
}

/** What is wrong with a value, and the path within it. */
export interface Flaw {
  /** Relative to the value; empty: the value itself. */
  readonly path: string;
  readonly message: string;
}

/** Undefined: it is {@link Metadata}. */
export function metadataFlaw(value: unknown): Flaw | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { path: '', message: 'must be a flat JSON object' };
  }
  const names = Object.keys(value);
  if (names.length > METADATA_FIELDS_LIMIT) {
    return { path: '', message: `must have at most ${METADATA_FIELDS_LIMIT} fields` };
  }
  for (const name of names) {
    if (name === '' || name.length > NAME_LIMIT) {
      return { path: '', message: `field names have 1 to ${NAME_LIMIT} characters` };
    }
    if (!isMetadataValue((value as Record<string, unknown>)[name])) {
      return { path: clip(name), message: 'must be a string, a finite number, a boolean or an array of strings' };
    }
  }
  return undefined;
}

export function isMetadata(value: unknown): value is Metadata {
  return metadataFlaw(value) === undefined;
}

function isMetadataValue(value: unknown): value is MetadataValue {
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every((element) => typeof element === 'string');
  return typeof value === 'string' || typeof value === 'boolean';
}

/** Of an embedding: at least one value, all finite. The schema says how many. */
export function areValues(values: Float32Array): boolean {
  return values.length > 0 && values.every(Number.isFinite);
}
