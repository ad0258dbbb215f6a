/**
 * Bulks of signals without keys between router and region: a tenth of the JSON, and no object each.
 *
 * In base64, within the JSON of the request: varint names, each varint bytes + UTF-8 · varint count · per signal: varint
 * entity · varint name · varint weight in thousandths · varint 0, or the client's time in epoch ms + 1.
 */
import { Refusal } from '../errors/errors.ts';
import { VarintReader, VarintWriter } from '../kernel/varints.ts';
import { isCount, isSignalName, isThousandths } from './events.ts';
import { type SignalColumns, signalColumns } from './signal-columns.ts';

export interface PackedSignals {
  readonly count: number;
  /** Base64. */
  readonly packed: string;
}

/** Four numbers of eight bytes. */
const SIGNAL_LIMIT_BYTES = 4 * 8;
const SIGNAL_LEAST_BYTES = 4;
/** A column of kinds holds 16 bits each. */
const KINDS_LIMIT = 0x1_0000;

export class SignalPacker {
  private readonly body = new VarintWriter(16 * 1024);
  private readonly names = new Map<string, number>();
  count = 0;

  /** The number to give {@link add} for a signal. */
  kind(name: string): number {
    let kind = this.names.get(name);
    if (kind === undefined) {
      kind = this.names.size;
      this.names.set(name, kind);
    }
    return kind;
  }

  /** `weight` in thousandths; `timeMs` the client's, undefined for the acceptance time. */
  add(entity: number, kind: number, weight: number, timeMs: number | undefined): void {
    const { body } = this;
    body.reserve(SIGNAL_LIMIT_BYTES);
    body.varint(entity);
    body.varint(kind);
    body.varint(weight);
    // The maximum time would overflow; both are capped at the acceptance.
    body.varint(timeMs === undefined ? 0 : Math.min(timeMs, Number.MAX_SAFE_INTEGER - 1) + 1);
    this.count++;
  }

  /** Once, at the end. */
  pack(): PackedSignals {
    const head = new VarintWriter(1_024);
    head.reserve(8);
    head.varint(this.names.size);
    for (const name of this.names.keys()) {
      const text = Buffer.from(name, 'utf8');
      head.reserve(16 + text.length);
      head.varint(text.length);
      head.bytes(text);
    }
    head.reserve(8);
    head.varint(this.count);
    const bytes = Buffer.concat([head.drain(), this.body.drain()]);
    return { count: this.count, packed: bytes.toString('base64') };
  }
}

/** Throws a `Refusal` for bytes that no router packs. */
export function unpackSignals(packed: string): SignalColumns {
  const bytes = Buffer.from(packed, 'base64');
  const reader = new VarintReader(bytes);
  const names: string[] = [];
  for (let left = reader.varint(); left > 0 && reader.position < bytes.length; left--) {
    const length = reader.varint();
    const start = reader.position;
    names.push(bytes.toString('utf8', start, start + length));
    reader.seek(bytes, start + length);
  }
  const count = reader.varint();
  if (names.length > KINDS_LIMIT || !names.every(isSignalName)) throw unreadable();
  if (!(count > 0 && count <= (bytes.length - reader.position) / SIGNAL_LEAST_BYTES)) throw unreadable();
  const signals = signalColumns(count, names);
  const { entities, kinds, weights, timesMs } = signals;
  for (let index = 0; index < count; index++) {
    const entity = reader.varint();
    const kind = reader.varint();
    const weight = reader.varint();
    const time = reader.varint();
    if (!(kind < names.length) || !isThousandths(weight)) throw unreadable();
    if (!isCount(entity) || !isCount(time)) throw unreadable();
    entities[index] = entity;
    kinds[index] = kind;
    weights[index] = weight;
    timesMs[index] = time === 0 ? Number.POSITIVE_INFINITY : time - 1;
  }
  if (reader.position !== bytes.length) throw unreadable();
  return signals;
}

function unreadable(): Refusal {
  return new Refusal('invalid_request', 'signals must be packed by a router of this version');
}
