/**
 * Reads single events of one batch. Those before them are passed over, without an object for each, and only once: a bulk of 5,000
 * takes a fraction of what decoding it takes, and any of its events can be read afterwards.
 */
import type { Event } from '../../../../shared/protocol/events.ts';
import {
  type Head,
  KEY_BYTES,
  KEYED,
  KIND_DELETE,
  KIND_EMBEDDING,
  KIND_ITEM,
  KIND_ITEM_CREATED,
  KIND_RETRACTION,
  KIND_SIGNAL,
  KIND_SIGNAL_TIMED,
  readEvent,
  readHead,
  readNames,
} from '../batch.ts';
import { UnknownFormat } from '../reader/reader.ts';

export class EventCursor {
  private readonly head: Head;
  private readonly names: readonly string[];
  /** Where each event begins, as far as it went, and the clock value before it. */
  private readonly starts: number[];
  private readonly clockValues: number[];

  /** Throws `DamagedBatch` or `UnknownFormat`, as decoding does. */
  constructor(bytes: Uint8Array) {
    this.head = readHead(bytes);
    this.names = readNames(this.head.reader, this.head.count);
    this.starts = [this.head.reader.position];
    this.clockValues = [this.head.baseHlc];
  }

  has(origin: string, sequence: number): boolean {
    const { header } = this.head;
    return header.origin === origin && header.first <= sequence && sequence <= header.last;
  }

  /** Moves towards the event, past at most `limit` others. Returns past how many. */
  advance(sequence: number, limit: number): number {
    const { starts, clockValues, head } = this;
    const wanted = sequence - head.header.first;
    head.reader.position = starts.at(-1)!;
    let passed = 0;
    for (; passed < limit && starts.length <= wanted; passed++) {
      clockValues.push(pass(head, clockValues.at(-1)!));
      starts.push(head.reader.position);
    }
    return passed;
  }

  /** Undefined: {@link advance} has not come to it yet. */
  event(sequence: number): Event | undefined {
    const { starts, clockValues, head, names } = this;
    const index = sequence - head.header.first;
    if (index >= starts.length) return undefined;
    head.reader.position = starts[index]!;
    return readEvent(head, names, clockValues[index]!).event;
  }
}

/** Passes over one event and returns its clock value. */
function pass({ reader }: Head, before: number): number {
  const tag = reader.byte();
  const kind = tag & ~KEYED;
  const hlc = before + reader.varint();
  reader.varint();
  if (tag !== kind) reader.slice(KEY_BYTES);
  switch (kind) {
    case KIND_DELETE:
      break;
    case KIND_EMBEDDING:
      reader.slice(4 * reader.varint());
      break;
    case KIND_ITEM_CREATED:
      reader.varint();
      reader.slice(reader.varint());
      break;
    case KIND_ITEM:
      reader.slice(reader.varint());
      break;
    case KIND_SIGNAL:
      reader.varint();
      reader.varint();
      break;
    case KIND_SIGNAL_TIMED:
    case KIND_RETRACTION:
      reader.varint();
      reader.varint();
      reader.varint();
      break;
    default:
      throw new UnknownFormat(`event kind ${tag} of a later version`);
  }
  return hlc;
}
