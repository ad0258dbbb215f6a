/**
 * Both rings of a pair that was busy and is quiet now, or that was just loaded: the bytes of `DenseRings.write`, some tens
 * instead of 970. Reads decode them directly; the pair's next event unpacks them.
 *
 * Bytes lie in chunks of 16, bump-allocated from pages, with a free list for each number of chunks. A reference is the
 * number of its first chunk, over all pages.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { VarintReader } from '../../../../shared/kernel/varints.ts';
import { exact } from './carries.ts';
import type { ListedRings, RingBuckets } from './ring-buckets.ts';
import type { RingKind, RingTotals } from './spans/spans.ts';
import { DAY_HOURS_KEPT, hourOf } from './spans/spans.ts';

const CHUNK_BYTES = 16;
const PAGE_CHUNKS = 4_096;
/** Bytes of the length before the content. */
const HEAD_BYTES = 2;
/** Longer rings stay dense. */
export const PACKED_LIMIT_BYTES = 480 - HEAD_BYTES;
const LIMB = 4_294_967_296;

export class PackedRings {
  private readonly pages: Uint8Array[] = [];
  /** By number of chunks: first chunks of freed allocations. */
  private readonly free: number[][] = [];
  private next = 0;
  private readonly reader = new VarintReader();

  store(bytes: Uint8Array): number {
    assert(bytes.length <= PACKED_LIMIT_BYTES, 'what is packed is short', () => bytes.length);
    const chunks = chunksOf(bytes.length);
    const chunk = this.free[chunks]?.pop() ?? this.bump(chunks);
    const page = this.page(chunk);
    const start = startOf(chunk);
    page[start] = bytes.length & 0xff;
    page[start + 1] = bytes.length >> 8;
    page.set(bytes, start + HEAD_BYTES);
    return chunk;
  }

  close(chunk: number): void {
    const chunks = chunksOf(this.length(chunk));
    this.free[chunks] ??= [];
    this.free[chunks].push(chunk);
  }

  /** The stored bytes. */
  bytes(chunk: number): Uint8Array {
    const start = startOf(chunk) + HEAD_BYTES;
    return this.page(chunk).subarray(start, start + this.length(chunk));
  }

  /** The shared reader, at their beginning. */
  read(chunk: number): VarintReader {
    this.reader.seek(this.page(chunk), startOf(chunk) + HEAD_BYTES);
    return this.reader;
  }

  /** The three totals, as of the newest minute. */
  totals(chunk: number, totals: RingTotals): void {
    const reader = this.read(chunk);
    let minutes = 0;
    for (let left = reader.varint(); left > 0; left--) {
      reader.varint();
      minutes += sumOf(reader);
    }
    let day = 0;
    let hours = 0;
    for (let left = reader.varint(); left > 0; left--) {
      const age = reader.varint();
      const sum = sumOf(reader);
      hours += sum;
      if (age < DAY_HOURS_KEPT) day += sum;
    }
    totals.minutes = minutes;
    totals.day = day;
    totals.hours = hours;
  }

  /** Σ of the buckets in (above, upTo]; `newest` is the pair's newest minute. Thousandths. */
  sum(chunk: number, newest: number, ring: RingKind, above: number, upTo: number): number {
    let sum = 0;
    this.visit(chunk, newest, ring, (bucket, low, carry) => {
      if (bucket > above && bucket <= upTo) sum += carry * LIMB + low;
    });
    return sum;
  }

  list(chunk: number, newest: number, { minutes, hours }: ListedRings): void {
    this.read(chunk);
    this.listRing(newest, minutes);
    this.listRing(hourOf(newest), hours);
  }

  /** Continues reading. */
  private listRing(newest: number, into: RingBuckets): void {
    const { reader } = this;
    into.count = reader.varint();
    // Newest first.
    for (let index = into.count - 1; index >= 0; index--) {
      const bucket = newest - reader.varint();
      const marked = reader.varint();
      const low = Math.floor(marked / 2);
      if (marked === low * 2) into.set(index, bucket, low);
      else into.setExact(index, bucket, exact(low, reader.varint(), LIMB));
    }
  }

  /** Newest bucket first. */
  private visit(
    chunk: number,
    newest: number,
    ring: RingKind,
    visit: (bucket: number, low: number, carry: number) => void,
  ): void {
    const reader = this.read(chunk);
    for (const kind of ['minutes', 'hours'] as const) {
      const newestBucket = kind === 'minutes' ? newest : hourOf(newest);
      for (let left = reader.varint(); left > 0; left--) {
        const bucket = newestBucket - reader.varint();
        const marked = reader.varint();
        const low = Math.floor(marked / 2);
        const carry = marked === low * 2 ? 0 : reader.varint();
        if (kind === ring) visit(bucket, low, carry);
      }
      if (kind === ring) return;
    }
  }

  private length(chunk: number): number {
    const page = this.page(chunk);
    const start = startOf(chunk);
    return page[start]! | (page[start + 1]! << 8);
  }

  private page(chunk: number): Uint8Array {
    return this.pages[Math.floor(chunk / PAGE_CHUNKS)]!;
  }

  private bump(chunks: number): number {
    // The rest of the page is too short for this one and stays unused, at most 30 chunks of 4,096.
    if ((this.next % PAGE_CHUNKS) + chunks > PAGE_CHUNKS) this.next += PAGE_CHUNKS - (this.next % PAGE_CHUNKS);
    if (this.next % PAGE_CHUNKS === 0) this.pages.push(new Uint8Array(PAGE_CHUNKS * CHUNK_BYTES));
    const chunk = this.next;
    this.next += chunks;
    return chunk;
  }
}

/** A bucket's sum, after its age was read. */
function sumOf(reader: VarintReader): number {
  const marked = reader.varint();
  const low = Math.floor(marked / 2);
  return marked === low * 2 ? low : reader.varint() * LIMB + low;
}

function chunksOf(length: number): number {
  return Math.ceil((HEAD_BYTES + length) / CHUNK_BYTES);
}

function startOf(chunk: number): number {
  return (chunk % PAGE_CHUNKS) * CHUNK_BYTES;
}

/** Skips the bytes of `DenseRings.write`. */
export function skipRings(reader: VarintReader): void {
  skipRing(reader);
  skipRing(reader);
}

function skipRing(reader: VarintReader): void {
  for (let left = reader.varint(); left > 0; left--) {
    reader.varint();
    if (reader.varint() % 2 === 1) reader.varint();
  }
}
