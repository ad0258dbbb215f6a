/**
 * The orders of one kind of register, by ordinal: 20 bytes each, in pages that are allocated at the first write to them and never
 * move. Epoch and origin, of which there are few, are kept once.
 */
import type { Order } from '../../../../shared/protocol/events.ts';

const PAGE_BITS = 12;
const PAGE_MASK = (1 << PAGE_BITS) - 1;

interface Page {
  readonly hlcs: Float64Array;
  readonly sequences: Float64Array;
  /** Index of epoch and origin, + 1; 0: no order. */
  readonly terms: Uint32Array;
}

interface Term {
  readonly epoch: number;
  readonly origin: string;
}

export class OrderColumn {
  private readonly pages: (Page | undefined)[] = [];
  private readonly terms: Term[] = [];
  private readonly byOrigin = new Map<string, number[]>();
  /** Index of the term that was looked up last: consecutive orders mostly have the same one. */
  private latest = -1;

  get isEmpty(): boolean {
    return this.pages.length === 0;
  }

  has(ordinal: number): boolean {
    return (this.pages[ordinal >> PAGE_BITS]?.terms[ordinal & PAGE_MASK] ?? 0) > 0;
  }

  get(ordinal: number): Order | undefined {
    const page = this.pages[ordinal >> PAGE_BITS];
    const at = ordinal & PAGE_MASK;
    const term = page?.terms[at] ?? 0;
    if (page === undefined || term === 0) return undefined;
    const { epoch, origin } = this.terms[term - 1]!;
    return { epoch, hlc: page.hlcs[at]!, origin, sequence: page.sequences[at]! };
  }

  /** There must be an order. */
  hlc(ordinal: number): number {
    return this.pages[ordinal >> PAGE_BITS]!.hlcs[ordinal & PAGE_MASK]!;
  }

  set(ordinal: number, { epoch, hlc, origin, sequence }: Order): void {
    const page = this.pages[ordinal >> PAGE_BITS] ?? this.addPage(ordinal >> PAGE_BITS);
    const at = ordinal & PAGE_MASK;
    page.hlcs[at] = hlc;
    page.sequences[at] = sequence;
    page.terms[at] = this.termOf(epoch, origin) + 1;
  }

  /** The same orders, renumbered by `ordinals`. */
  renumbered(ordinals: Int32Array): OrderColumn {
    const column = new OrderColumn();
    column.terms.push(...this.terms);
    for (const [origin, known] of this.byOrigin) column.byOrigin.set(origin, known);
    for (let former = 0; former < ordinals.length; former++) {
      const from = this.pages[former >> PAGE_BITS];
      const source = former & PAGE_MASK;
      if (from === undefined || from.terms[source] === 0) continue;
      const ordinal = ordinals[former]!;
      const to = column.pages[ordinal >> PAGE_BITS] ?? column.addPage(ordinal >> PAGE_BITS);
      const at = ordinal & PAGE_MASK;
      to.hlcs[at] = from.hlcs[source]!;
      to.sequences[at] = from.sequences[source]!;
      to.terms[at] = from.terms[source]!;
    }
    return column;
  }

  private termOf(epoch: number, origin: string): number {
    const latest = this.terms[this.latest];
    if (latest?.origin !== origin || latest.epoch !== epoch) this.latest = this.find(epoch, origin);
    return this.latest;
  }

  private find(epoch: number, origin: string): number {
    let known = this.byOrigin.get(origin);
    if (known === undefined) {
      known = [];
      this.byOrigin.set(origin, known);
    }
    const found = known.find((index) => this.terms[index]!.epoch === epoch);
    if (found !== undefined) return found;
    known.push(this.terms.length);
    return this.terms.push({ epoch, origin }) - 1;
  }

  private addPage(index: number): Page {
    const size = 1 << PAGE_BITS;
    const page = {
      hlcs: new Float64Array(size),
      sequences: new Float64Array(size),
      terms: new Uint32Array(size),
    };
    while (this.pages.length < index) this.pages.push(undefined);
    this.pages[index] = page;
    return page;
  }
}
