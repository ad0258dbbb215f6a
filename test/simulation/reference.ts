/**
 * The state at a position, from its rules and the union of all logs alone, with no code of the regions: registers by comparing
 * every event with every other, the ledger by `reference-ledger.ts` with the closed form of decay, duplicates of keyed writes and
 * the digest by their definitions.
 */
import { createHash } from 'node:crypto';
import type { Schema } from '../../services/region/schema/schema.ts';
import type { Event, Metadata } from '../../shared/protocol/events.ts';
import { acceptedMs, hlcMs } from '../../shared/protocol/events.ts';
import type { Position } from '../../shared/protocol/position.ts';
import { ReferenceLedger } from '../harness/region/state/reference-ledger.ts';
import type { Chronicle, Placed } from './chronicle.ts';

const SEVEN_DAYS_MS = 7 * 24 * 3_600_000;

/** Weights are small here: what `Math.pow` is off by never reaches the integer it is rounded to. */
function closedForm(halfLifeSeconds: number) {
  const halfLifeMs = halfLifeSeconds * 1_000;
  return {
    bucketOf: (timeMs: number) => Math.floor(timeMs / (8 * halfLifeMs)),
    contribution: (weight: number, timeMs: number, cell: number) =>
      Math.round(weight * 1_024 * 2 ** ((timeMs - 8 * cell * halfLifeMs) / halfLifeMs)),
  };
}

type Part = string | number | bigint | Uint8Array;

function tagged(tag: number, bytes: Uint8Array, withLength: boolean): Buffer {
  const length = Buffer.alloc(withLength ? 4 : 0);
  if (withLength) length.writeUInt32BE(bytes.length);
  return Buffer.concat([Buffer.of(tag), length, bytes]);
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
}

/** What one value of the state adds to the digest: half of a SHA-256 over its parts, each with its type and length. */
function hashOf(entity: number, parts: readonly Part[]): bigint {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(parts.length);
  const encoded = parts.map((part) => {
    if (typeof part === 'number') return tagged(1, double(part), false);
    if (typeof part === 'string') return tagged(2, Buffer.from(part, 'utf16le'), true);
    if (typeof part === 'bigint') return tagged(3, Buffer.from(part.toString(16)), true);
    return tagged(4, part, true);
  });
  const whole = Buffer.concat([double(entity), count, ...encoded]);
  return BigInt(`0x${createHash('sha256').update(whole).digest('hex').slice(0, 32)}`);
}

type Signal = Event & { kind: 'signal' };

/** (epoch of the origin, HLC, origin, sequence), the highest wins. */
function newer(a: Placed, b: Placed): boolean {
  if (a.origin.epoch !== b.origin.epoch) return a.origin.epoch > b.origin.epoch;
  if (a.event.hlc !== b.event.hlc) return a.event.hlc > b.event.hlc;
  if (a.origin.name !== b.origin.name) return a.origin.name > b.origin.name;
  return a.sequence > b.sequence;
}

/** (epoch, origin, sequence), the lowest counts. */
function lower(a: Placed, b: Placed): boolean {
  if (a.origin.epoch !== b.origin.epoch) return a.origin.epoch < b.origin.epoch;
  if (a.origin.name !== b.origin.name) return a.origin.name < b.origin.name;
  return a.sequence < b.sequence;
}

/** The signals that count: each without a key, and one event of every request under one. */
function counting(signals: readonly Placed[]): Set<Placed> {
  const counted = new Set<Placed>();
  const byRequest = new Map<string, Placed[]>();
  for (const placed of signals) {
    const { key } = placed.event;
    if (key === undefined) {
      counted.add(placed);
      continue;
    }
    const name = `${key.id} ${key.bodyHash}`;
    const copies = byRequest.get(name);
    if (copies === undefined) byRequest.set(name, [placed]);
    else copies.push(placed);
  }
  for (const copies of byRequest.values()) {
    copies.sort((a, b) => acceptedMs(a.event) - acceptedMs(b.event));
    while (copies.length > 0) {
      const firstMs = acceptedMs(copies[0]!.event);
      const within = copies.filter(({ event }) => acceptedMs(event) < firstMs + SEVEN_DAYS_MS);
      counted.add(within.reduce((least, copy) => (lower(copy, least) ? copy : least)));
      copies.splice(0, within.length);
    }
  }
  return counted;
}

function winner(among: readonly Placed[]): Placed | undefined {
  let best: Placed | undefined;
  for (const placed of among) if (best === undefined || newer(placed, best)) best = placed;
  return best;
}

function canonical(metadata: Metadata): string {
  return JSON.stringify(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The digest of the whole state at a position. */
export function referenceDigest(chronicle: Chronicle, position: Position, schema: Schema): string {
  let sum = 0n;
  const add = (entity: number, parts: readonly Part[]): void => {
    sum += hashOf(entity, parts);
  };
  const byEntity = new Map<number, Placed[]>();
  for (const placed of chronicle.upTo(position)) {
    const { entity } = placed.event;
    const same = byEntity.get(entity);
    if (same === undefined) byEntity.set(entity, [placed]);
    else same.push(placed);
  }
  for (const [entity, all] of byEntity) {
    const puts = all.filter(({ event }) => event.kind === 'item');
    const item = winner(all.filter(({ event }) => event.kind === 'item' || event.kind === 'delete'));
    if (item !== undefined) {
      const { event, origin, sequence } = item;
      const createdMs = Math.min(...puts.map((put) => acceptedMs(put.event)));
      const text = event.kind === 'item' ? canonical(event.metadata) : 'tombstone';
      const created = puts.length === 0 ? -1 : createdMs;
      const apart = acceptedMs(event) === hlcMs(event.hlc) ? [] : [acceptedMs(event)];
      add(entity, ['item', origin.epoch, event.hlc, origin.name, sequence, created, ...apart, text]);
    }
    const embedding = winner(all.filter(({ event }) => event.kind === 'embedding' || event.kind === 'delete'));
    if (embedding !== undefined) {
      const { event, origin, sequence } = embedding;
      const value = event.kind === 'embedding' ? new Uint8Array(Float32Array.from(event.values).buffer) : 'tombstone';
      add(entity, ['embedding', origin.epoch, event.hlc, origin.name, sequence, value]);
    }
    const signals = all.filter(({ event }) => event.kind === 'signal');
    const counted = counting(signals);
    const ledger = new ReferenceLedger();
    const names = new Set<string>();
    for (const placed of signals) {
      const { signal, weight, timeMs } = placed.event as Signal;
      names.add(signal);
      if (counted.has(placed)) ledger.add({ entity, signal, weight, timeMs });
      else ledger.note({ entity, signal, weight, timeMs });
    }
    for (const name of names) {
      const { halfLifeSeconds } = schema.signals.get(name)!;
      add(entity, [name, ...ledger.describe(entity, name, halfLifeSeconds, closedForm(halfLifeSeconds))]);
    }
  }
  return (sum % 2n ** 128n).toString(16).padStart(32, '0');
}

/** What a read of one item answers at a position: its metadata while it lives, and the exact sum of each signal's weights. */
export function referenceItem(chronicle: Chronicle, position: Position, entity: number) {
  const own: Placed[] = [];
  for (const placed of chronicle.upTo(position)) if (placed.event.entity === entity) own.push(placed);
  const item = winner(own.filter(({ event }) => event.kind === 'item' || event.kind === 'delete'));
  const thousandths = new Map<string, number>();
  for (const { event } of counting(own.filter(({ event }) => event.kind === 'signal'))) {
    const { signal, weight } = event as Signal;
    thousandths.set(signal, (thousandths.get(signal) ?? 0) + weight);
  }
  return { metadata: item?.event.kind === 'item' ? item.event.metadata : undefined, thousandths };
}
