/**
 * Encodes the events of one batch in order, as `batch.ts` lays them out: one by one, or a bulk of signals by column.
 *
 * Promise: everything written can be read. Every value is asserted by the reader's rules, because unreadable bytes in the log
 * would also make everything behind them unreachable.
 */
import { crc32 } from 'node:zlib';
import { floatBytes } from '../../../shared/kernel/floats.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { VarintWriter } from '../../../shared/kernel/varints.ts';
import type { Event, EventKey } from '../../../shared/protocol/events.ts';
import {
  acceptedMs,
  areValues,
  BATCH_LIMIT_BYTES,
  BATCH_LIMIT_EVENTS,
  HLC_LIMIT,
  hlcMs,
  isCount,
  isMetadata,
  isSignalName,
  isThousandths,
  retractedTimeFlaw,
} from '../../../shared/protocol/events.ts';
import { originPattern } from '../../../shared/protocol/position.ts';
import { type SignalColumns, signalColumns } from '../../../shared/protocol/signal-columns.ts';
import {
  type Batch,
  type BatchHeader,
  batchOf,
  FORMAT_VERSION,
  FORMAT_VERSION_AHEAD,
  HEADER_BYTES,
  KEY_BYTES,
  KEY_ID_BYTES,
  KEYED,
  KIND_DELETE,
  KIND_EMBEDDING,
  KIND_ITEM,
  KIND_ITEM_CREATED,
  KIND_RETRACTION,
  KIND_SIGNAL,
  KIND_SIGNAL_TIMED,
  MAGIC,
} from '../batch/batch.ts';

/**
 * Space for the header with the longest origin, three numbers of 8 bytes, one of 2 (events), one of 6 (ms ahead) and the name
 * table's count.
 */
const HEADER_LIMIT_BYTES = HEADER_BYTES + 1 + 65 + 3 * 8 + 2 + 6 + 2;
/** Maximum size of an event but for its metadata or values: its kind, five numbers of eight bytes, and a key. */
const EVENT_LIMIT_BYTES = 1 + 5 * 8 + KEY_BYTES;

/** Encodes the events of one batch in order; `add` says no when the batch is full. */
export class BatchBuilder {
  private readonly body = new VarintWriter(4096);
  private readonly names = new Map<string, number>();
  private namesBytes = 0;
  private firstHlc = 0;
  private lastHlc = 0;
  count = 0;
  /** The events it was built from, for readers of the finished batch, if all were added one by one, or all by column. */
  private events: Event[] | undefined;
  private columns: SignalColumns | undefined;
  private readonly aheadMs: number;

  /** `aheadMs`: by how much the HLC of these events is ahead of the wall clock that they are accepted at. */
  constructor(aheadMs = 0) {
    this.aheadMs = aheadMs;
  }

  /** Adds the event, or leaves the builder unchanged and returns false: finish this batch and begin another. */
  add(event: Event): boolean {
    if (this.count >= BATCH_LIMIT_EVENTS) return false;
    const { body } = this;
    const before = body.length;
    const { hlc, entity, key } = event;
    assert(
      (this.count === 0 || hlc >= this.lastHlc) && hlc <= HLC_LIMIT,
      'the HLC grows within a batch, and stays readable',
    );
    assert((event.aheadMs ?? 0) === this.aheadMs, 'the events of a batch are accepted at one moment');
    requireReadable(event);
    let name: string | undefined;
    switch (event.kind) {
      case 'signal': {
        const index = this.indexOf(event.signal);
        if (index === this.names.size) name = event.signal;
        this.putSignal(hlc, entity, index, event.weight, acceptedMs(event) - event.timeMs, key);
        break;
      }
      case 'retraction': {
        const index = this.indexOf(event.signal);
        if (index === this.names.size) name = event.signal;
        this.putHead(KIND_RETRACTION, hlc, entity, key);
        body.varint(index);
        body.varint(event.weight);
        body.varint(event.upToMs - acceptedMs(event));
        break;
      }
      case 'item': {
        const { createdMs } = event;
        this.putHead(createdMs === undefined ? KIND_ITEM : KIND_ITEM_CREATED, hlc, entity, key);
        if (createdMs !== undefined) body.varint(acceptedMs(event) - createdMs);
        const json = Buffer.from(JSON.stringify(event.metadata), 'utf8');
        body.varint(json.length);
        body.reserve(json.length);
        body.bytes(json);
        break;
      }
      case 'delete':
        this.putHead(KIND_DELETE, hlc, entity, key);
        break;
      case 'embedding':
        this.putHead(KIND_EMBEDDING, hlc, entity, key);
        body.varint(event.values.length);
        body.reserve(4 * event.values.length);
        body.bytes(floatBytes(event.values));
        break;
    }
    if (!this.keep(before, hlc, name)) return false;
    if (this.count === 1) this.events = [];
    this.events?.push(event);
    this.columns = undefined;
    return true;
  }

  /**
   * Adds signals of `given` from index `from` on, the first of them with the clock value `hlc`, each of the others with the next
   * one; a signal's own time counts if it is before the acceptance. Returns how many were added: 0 if the batch is full.
   */
  addSignals(given: SignalColumns, from: number, hlc: number): number {
    assert(this.count === 0 || hlc > this.lastHlc, 'the HLC grows within a batch');
    assert(hlc + given.count - from - 1 <= HLC_LIMIT, 'the HLC stays readable');
    const columns = this.columnsFor(given.count - from);
    const indexOfKind = new Int32Array(given.names.length).fill(-1);
    let accepted = hlc;
    for (let at = from; at < given.count && this.count < BATCH_LIMIT_EVENTS; at++) {
      const kind = given.kinds[at]!;
      let index = indexOfKind[kind]!;
      let name: string | undefined;
      if (index < 0) {
        const text = given.names[kind]!;
        assert(isSignalName(text), 'the name of a signal can be read back', () => ({ text }));
        index = this.indexOf(text);
        if (index === this.names.size) name = text;
        indexOfKind[kind] = index;
      }
      const atMs = hlcMs(accepted) - this.aheadMs;
      const timeMs = Math.min(given.timesMs[at]!, atMs);
      const entity = given.entities[at]!;
      const weight = given.weights[at]!;
      assert(isThousandths(weight) && timeMs >= 0, 'a signal can be read back', () => ({ entity, weight, timeMs }));
      const before = this.body.length;
      this.putSignal(accepted, entity, index, weight, atMs - timeMs, undefined);
      if (!this.keep(before, accepted, name)) break;
      if (columns !== undefined) {
        const row = this.count - 1;
        columns.entities[row] = entity;
        columns.kinds[row] = index;
        columns.weights[row] = weight;
        columns.timesMs[row] = timeMs;
      }
      accepted++;
    }
    return accepted - hlc;
  }

  /** Its index in the table of names, or the one that it would get. */
  private indexOf(name: string): number {
    return this.names.get(name) ?? this.names.size;
  }

  /** `agoMs`: how long before its acceptance it happened. */
  private putSignal(
    hlc: number,
    entity: number,
    name: number,
    weight: number,
    agoMs: number,
    key: EventKey | undefined,
  ): void {
    this.putHead(agoMs === 0 ? KIND_SIGNAL : KIND_SIGNAL_TIMED, hlc, entity, key);
    this.body.varint(name);
    this.body.varint(weight);
    if (agoMs !== 0) this.body.varint(agoMs);
  }

  private putHead(kind: number, hlc: number, entity: number, key: EventKey | undefined): void {
    const { body } = this;
    body.reserve(EVENT_LIMIT_BYTES);
    body.byte(key === undefined ? kind : kind | KEYED);
    body.varint(this.count === 0 ? 0 : hlc - this.lastHlc);
    body.varint(entity);
    if (key !== undefined) body.bytes(encodeKey(key));
  }

  /** Counts the event that was written from `before` on, and the name that it is the first to use; or takes it back if the batch is full. */
  private keep(before: number, hlc: number, name: string | undefined): boolean {
    const nameBytes = name === undefined ? 0 : Buffer.byteLength(name) + 1;
    const bytes = HEADER_LIMIT_BYTES + this.namesBytes + nameBytes + this.body.length;
    if (this.count > 0 && bytes > BATCH_LIMIT_BYTES) {
      this.body.length = before;
      return false;
    }
    if (name !== undefined) this.names.set(name, this.names.size);
    this.namesBytes += nameBytes;
    if (this.count === 0) this.firstHlc = hlc;
    this.lastHlc = hlc;
    this.count++;
    return true;
  }

  /** Columns with capacity for `more`, unless events were added one by one before. */
  private columnsFor(more: number): SignalColumns | undefined {
    this.events = undefined;
    if (this.count > 0 && this.columns === undefined) return undefined;
    const wanted = Math.min(this.count + more, BATCH_LIMIT_EVENTS);
    const { columns } = this;
    if (columns !== undefined && columns.entities.length >= wanted) return columns;
    const grown = signalColumns(Math.min(Math.max(wanted, 2 * this.count), BATCH_LIMIT_EVENTS), []);
    for (const column of ['entities', 'kinds', 'weights', 'timesMs'] as const) {
      if (columns !== undefined) grown[column].set(columns[column]);
    }
    this.columns = grown;
    return grown;
  }

  private get signals(): SignalColumns | undefined {
    const { columns, count } = this;
    if (columns === undefined) return undefined;
    return {
      count,
      names: [...this.names.keys()],
      entities: columns.entities.subarray(0, count),
      kinds: columns.kinds.subarray(0, count),
      weights: columns.weights.subarray(0, count),
      timesMs: columns.timesMs.subarray(0, count),
    };
  }

  /** The finished batch. `first` is the sequence of its first event. */
  build(header: Omit<BatchHeader, 'last'>): Batch {
    assert(this.count > 0, 'a batch holds at least one event');
    const { epoch, first } = header;
    const isCounted = isCount(this.lastHlc) && isCount(first - 1 + this.count);
    assert(
      originPattern.test(header.origin) && epoch >= 1 && first >= 1 && isCounted,
      'a header can be read back',
      () => ({
        ...header,
        lastHlc: this.lastHlc,
      }),
    );
    const writer = new VarintWriter(HEADER_LIMIT_BYTES + this.namesBytes + this.body.length);
    for (let index = 0; index < HEADER_BYTES; index++) writer.byte(0);
    const origin = Buffer.from(header.origin, 'latin1');
    writer.byte(origin.length);
    writer.bytes(origin);
    writer.varint(header.epoch);
    writer.varint(header.first);
    writer.varint(this.count);
    writer.varint(this.firstHlc);
    if (this.aheadMs > 0) writer.varint(this.aheadMs);
    writer.varint(this.names.size);
    for (const name of this.names.keys()) {
      const text = Buffer.from(name, 'utf8');
      assert(text.length <= 255, 'the name of a signal fits its length byte', () => ({ name }));
      writer.byte(text.length);
      writer.bytes(text);
    }
    writer.bytes(this.body.drain());
    const bytes = writer.drain();
    bytes.writeUInt16LE(MAGIC, 0);
    bytes[2] = this.aheadMs > 0 ? FORMAT_VERSION_AHEAD : FORMAT_VERSION;
    bytes.writeUInt32LE(bytes.length, 4);
    bytes.set(header.chain, 12);
    bytes.write(header.schemaHash, 28, 8, 'hex');
    bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8);
    assert(bytes.length <= BATCH_LIMIT_BYTES, 'a batch respects its limit', () => ({ bytes: bytes.length }));
    const { lastHlc, aheadMs, signals, events } = this;
    const last = header.first + this.count - 1;
    return batchOf({ header: { ...header, last }, bytes, lastHlc, aheadMs, signals, events });
  }
}

/** Asserts what `batch.ts` would refuse to read. Numbers are asserted when they are written. */
function requireReadable(event: Event): void {
  switch (event.kind) {
    case 'signal': {
      const { signal, weight, timeMs } = event;
      const readable = isSignalName(signal) && isThousandths(weight) && isCount(timeMs) && timeMs <= acceptedMs(event);
      assert(readable, 'a signal can be read back, and is never later than its acceptance', () => event);
      return;
    }
    case 'retraction': {
      const { signal, weight, upToMs, key } = event;
      const atMs = acceptedMs(event);
      const isTime = isCount(upToMs) && upToMs >= atMs && retractedTimeFlaw(upToMs, atMs) === undefined;
      const readable = isSignalName(signal) && isThousandths(weight) && isTime && key !== undefined;
      assert(readable, 'a retraction can be read back, and takes nothing back that may follow it', () => event);
      return;
    }
    case 'item':
      assert(isMetadata(event.metadata), 'the metadata of an item can be read back', () => event);
      assert(
        event.createdMs === undefined || (isCount(event.createdMs) && event.createdMs < acceptedMs(event)),
        'the creation of an item can be read back',
        () => event,
      );
      return;
    case 'embedding':
      assert(areValues(event.values), 'the values of an embedding can be read back', () => event);
      return;
    case 'delete':
      assert(event.aside === undefined, 'what is in quarantine is in the log already', () => event);
      return;
  }
}

function encodeKey({ id, bodyHash }: EventKey): Buffer {
  const bytes = Buffer.concat([Buffer.from(id, 'base64url'), Buffer.from(bodyHash, 'base64url')]);
  const same = bytes.toString('base64url', 0, KEY_ID_BYTES) === id;
  assert(same && bytes.length === KEY_BYTES, 'an idempotency key is logged as it is known', () => ({ id, bodyHash }));
  return bytes;
}
