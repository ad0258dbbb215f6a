/**
 * The state at a position, from its rules and the union of all logs alone, with no code of the regions: registers by comparing
 * every event with every other, the ledger by `reference-ledger.ts` with the closed form of decay, duplicates of keyed writes and
 * the digest by their definitions.
 */
import type { Schema } from '../../services/region/schema/schema.ts';
import type { Event } from '../../shared/protocol/events.ts';
import { acceptedMs } from '../../shared/protocol/events.ts';
import type { Position } from '../../shared/protocol/position.ts';
import { murmur3 } from '../harness/region/state/murmur3.ts';
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

const TEXT = 1;
const BIGINT = 2;
const BYTES = 3;

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** A head that no number has, and the content, in units of 8 bytes. */
function tagged(type: number, content: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(content.length, 0);
  head.writeUInt32LE(0xfff80000 + type, 4);
  return Buffer.concat([head, content, Buffer.alloc((8 - (content.length % 8)) % 8)]);
}

/** What one value of the state adds to the digest: the four words of a hash over its parts. */
function hashOf(entity: number, parts: readonly Part[]): number[] {
  const encoded = parts.map((part) => {
    if (typeof part === 'number') return double(part);
    if (typeof part === 'string') return tagged(TEXT, Buffer.from(part, 'utf16le'));
    if (typeof part === 'bigint') return tagged(BIGINT, Buffer.from(part.toString(16)));
    return tagged(BYTES, part);
  });
  const whole = Buffer.concat([double(entity), ...encoded, tagged(0, Buffer.alloc(0))]);
  return murmur3(Buffer.concat([whole, Buffer.alloc((16 - (whole.length % 16)) % 16)]));
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

/** The signals that count, of signals and retractions: each without a key, and one event of every request under one that was not taken back. */
export function counting(all: readonly Placed[]): Set<Placed> {
  const counted = new Set<Placed>();
  const byRequest = new Map<string, Placed[]>();
  const isTakenBack = ({ event: taken }: Placed): boolean =>
    all.some(({ event }) => {
      if (event.kind !== 'retraction' || event.key?.id !== taken.key?.id) return false;
      const isOfBody = event.key?.bodyHash === taken.key?.bodyHash;
      return isOfBody && acceptedMs(taken) <= event.upToMs && acceptedMs(event) - acceptedMs(taken) < SEVEN_DAYS_MS;
    });
  for (const placed of all) {
    const { key, kind } = placed.event;
    if (kind !== 'signal') continue;
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
      if (!within.some(isTakenBack)) counted.add(within.reduce((least, copy) => (lower(copy, least) ? copy : least)));
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

/** The digest of the whole state at a position. */
export function referenceDigest(chronicle: Chronicle, position: Position, schema: Schema): string {
  const sums = [0, 0, 0, 0];
  const add = (entity: number, parts: readonly Part[]): void => {
    for (const [index, word] of hashOf(entity, parts).entries()) sums[index] = (sums[index]! + word) % 2 ** 32;
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
      const createdMs = Math.min(
        ...puts.map(({ event: put }) => (put.kind === 'item' ? put.createdMs : undefined) ?? acceptedMs(put)),
      );
      const json = event.kind === 'item' ? [Buffer.from(JSON.stringify(event.metadata))] : [];
      const created = puts.length === 0 ? -1 : createdMs;
      add(entity, ['item', origin.epoch, event.hlc, origin.name, sequence, created, acceptedMs(event), ...json]);
    }
    const embedding = winner(all.filter(({ event }) => event.kind === 'embedding' || event.kind === 'delete'));
    if (embedding !== undefined) {
      const { event, origin, sequence } = embedding;
      const values = event.kind === 'embedding' ? [new Uint8Array(Float32Array.from(event.values).buffer)] : [];
      add(entity, ['embedding', origin.epoch, event.hlc, origin.name, sequence, ...values]);
    }
    const signals = all.filter(({ event }) => event.kind === 'signal');
    const counted = counting(all);
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
  return sums.map((sum) => sum.toString(16).padStart(8, '0')).join('');
}

/** What a read of one item answers at a position: its metadata while it lives, and the exact sum of each signal's weights. */
export function referenceItem(chronicle: Chronicle, position: Position, entity: number) {
  const own: Placed[] = [];
  for (const placed of chronicle.upTo(position)) if (placed.event.entity === entity) own.push(placed);
  const item = winner(own.filter(({ event }) => event.kind === 'item' || event.kind === 'delete'));
  const thousandths = new Map<string, number>();
  for (const { event } of counting(own)) {
    const { signal, weight } = event as Signal;
    thousandths.set(signal, (thousandths.get(signal) ?? 0) + weight);
  }
  return { metadata: item?.event.kind === 'item' ? item.event.metadata : undefined, thousandths };
}
