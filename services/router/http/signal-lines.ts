/**
 * Bulks of signals read from their bytes, without a text and an object a line.
 *
 * It accepts plain lines: `entity_id`, `signal`, `weight`, `timestamp` in any order, with white space anywhere; integers of at
 * most 15 digits, weights within their limit of at most three decimals, signals of printable ASCII without escapes, times as
 * integers. For anything else, mistakes included, it returns undefined, and the caller parses the body with `parseWrite`, which
 * reports mistakes. Both read accepted lines alike.
 */
import { WEIGHT_LIMIT, WEIGHT_SCALE } from '../../../shared/protocol/events.ts';
import { type PackedSignals, SignalPacker } from '../../../shared/protocol/packed-signals.ts';
import { FIRST_NUMBER_MS, LAST_NUMBER_MS } from '../../../shared/protocol/timestamp.ts';

const LF = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const NAME_LIMIT = 128;
const DIGITS_LIMIT = 15;
/** Cache of signal names, by a hash of their bytes, one each. */
const SEEN = 64;

/** `limit`: maximum number of lines. */
export function readSignalLines(body: Uint8Array, limit: number): PackedSignals | undefined {
  return new LineReader(body).read(limit);
}

interface SeenName {
  readonly bytes: Uint8Array;
  readonly kind: number;
}

class LineReader {
  private readonly body: Uint8Array;
  private readonly packer = new SignalPacker();
  private readonly seen: (SeenName | undefined)[] = new Array<undefined>(SEEN).fill(undefined);
  private at = 0;

  constructor(body: Uint8Array) {
    this.body = body;
  }

  read(limit: number): PackedSignals | undefined {
    const { body, packer } = this;
    while (this.at < body.length) {
      if (packer.count === limit || !this.line()) return undefined;
    }
    return packer.count === 0 ? undefined : packer.pack();
  }

  /** False if it is not a plain one. */
  private line(): boolean {
    let entity = -1;
    let kind = -1;
    let weight = WEIGHT_SCALE;
    let timeMs: number | undefined;
    if (this.next() !== OPEN) return false;
    for (let mark = COMMA; mark === COMMA; mark = this.next()) {
      const field = this.field();
      if (field === ENTITY) {
        entity = this.integer();
        if (entity < 0) return false;
      } else if (field === SIGNAL) {
        kind = this.signal();
        if (kind < 0) return false;
      } else if (field === WEIGHT) {
        weight = this.weight();
        if (weight < 0) return false;
      } else if (field === TIME) {
        timeMs = this.integer();
        if (timeMs < FIRST_NUMBER_MS || timeMs > LAST_NUMBER_MS) return false;
      } else return false;
    }
    if (this.body[this.at - 1] !== CLOSE || entity < 0 || kind < 0) return false;
    this.packer.add(entity, kind, weight, timeMs);
    return this.endOfLine();
  }

  /** Reads the next byte that is not white space within a line. */
  private next(): number {
    const { body } = this;
    let byte = body[this.at++]!;
    while (byte === 0x20 || byte === 0x09 || byte === 0x0d) byte = body[this.at++]!;
    return byte;
  }

  /** A line ends with a line feed, or with the body. */
  private endOfLine(): boolean {
    while (this.at < this.body.length) {
      const byte = this.next();
      if (byte === LF) return true;
      if (byte !== undefined) return false;
    }
    return true;
  }

  /** Reads the name of the next field and its colon. */
  private field(): number {
    if (this.next() !== QUOTE) return NONE;
    const { body, at } = this;
    for (const [field, name] of fields) {
      if (body[at + name.length] !== QUOTE || !startsWith(body, at, name)) continue;
      this.at = at + name.length + 1;
      return this.next() === COLON ? field : NONE;
    }
    return NONE;
  }

  /** −1 if it is not plain. */
  private integer(): number {
    const { body } = this;
    let byte = this.next();
    if (byte < ZERO || byte > NINE) return -1;
    let value = byte - ZERO;
    let digits = 1;
    for (;;) {
      byte = body[this.at]!;
      if (!(byte >= ZERO && byte <= NINE)) break;
      // JSON has no leading zeros.
      if (value === 0 || ++digits > DIGITS_LIMIT) return -1;
      value = value * 10 + (byte - ZERO);
      this.at++;
    }
    return isNumberPart(byte) ? -1 : value;
  }

  /** In thousandths; −1 if it is not plain. */
  private weight(): number {
    const { body } = this;
    let byte = this.next();
    if (byte < ZERO || byte > NINE) return -1;
    let value = byte - ZERO;
    for (;;) {
      byte = body[this.at]!;
      if (!(byte >= ZERO && byte <= NINE)) break;
      if (value === 0 || value > WEIGHT_LIMIT) return -1;
      value = value * 10 + (byte - ZERO);
      this.at++;
    }
    value *= WEIGHT_SCALE;
    if (byte === DOT) {
      let scale = WEIGHT_SCALE;
      for (;;) {
        byte = body[++this.at]!;
        if (!(byte >= ZERO && byte <= NINE)) break;
        scale /= 10;
        if (scale < 1) return -1;
        value += (byte - ZERO) * scale;
      }
      if (scale === WEIGHT_SCALE) return -1;
    }
    return isNumberPart(byte) || value > WEIGHT_LIMIT * WEIGHT_SCALE ? -1 : value;
  }

  /** The packer's number of a signal; −1 if it is not plain. */
  private signal(): number {
    if (this.next() !== QUOTE) return -1;
    const { body } = this;
    const start = this.at;
    let hash = 0;
    for (;;) {
      const byte = body[this.at++]!;
      if (byte === QUOTE) break;
      if (!(byte >= 0x20 && byte < 0x7f) || byte === BACKSLASH) return -1;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const length = this.at - 1 - start;
    if (length === 0 || length > NAME_LIMIT) return -1;
    const place = hash & (SEEN - 1);
    const seen = this.seen[place];
    if (seen !== undefined && seen.bytes.length === length && startsWith(body, start, seen.bytes)) return seen.kind;
    const bytes = body.slice(start, start + length);
    const kind = this.packer.kind(Buffer.from(bytes).toString('latin1'));
    this.seen[place] = { bytes, kind };
    return kind;
  }
}

const NONE = -1;
const ENTITY = 0;
const SIGNAL = 1;
const WEIGHT = 2;
const TIME = 3;
const fields: readonly (readonly [field: number, name: Uint8Array])[] = [
  [ENTITY, Buffer.from('entity_id')],
  [SIGNAL, Buffer.from('signal')],
  [WEIGHT, Buffer.from('weight')],
  [TIME, Buffer.from('timestamp')],
];

function startsWith(body: Uint8Array, at: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (body[at + index] !== text[index]) return false;
  return true;
}

/** Bytes that would make the digits before them a longer number, or not a number. */
function isNumberPart(byte: number | undefined): boolean {
  return byte === DOT || byte === 0x65 || byte === 0x45 || byte === 0x2b || byte === 0x2d;
}
