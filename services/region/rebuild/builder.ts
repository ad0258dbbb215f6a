/** The builder's side of a rebuild: gathers the values of items as they arrive, and sorts them after the last one. */
import type { Metadata } from '../../../shared/protocol/events.ts';
import { MetadataScan } from '../metadata/metadata.ts';
import { forEachMetadata } from '../state/catalog/catalog.ts';
import type { FromBuilder, Rebuilt, ToBuilder } from './rebuild.ts';

/** Gathers the values for one index. */
export interface Gatherer {
  gather(number: number, metadata: MetadataScan): void;
  /** Builds the index, with each item under its ordinal, which `ordinals` has at the item's number. */
  finish(ordinals: Int32Array): Partial<Rebuilt>;
}

export interface BuilderOptions {
  /** `metadataOf` an item that was gathered, by its number. */
  readonly create: (metadataOf: (number: number) => Metadata) => Gatherer;
  readonly reply: (message: FromBuilder) => void;
}

export class Builder {
  private readonly options: BuilderOptions;
  private readonly gatherer: Gatherer;
  /** All items: the filter index looks at some again. `first`: the number of the first one. */
  private readonly pages: { readonly first: number; readonly bytes: Buffer; readonly bounds: readonly number[] }[] = [];
  private readonly scan = new MetadataScan();
  private items = 0;

  constructor(options: BuilderOptions) {
    this.options = options;
    this.gatherer = options.create((number) => this.metadataOf(number));
  }

  take(message: ToBuilder): void {
    const { scan, gatherer } = this;
    const { reply } = this.options;
    if (message.kind === 'all') {
      reply({ kind: 'built', rebuilt: gatherer.finish(message.ordinals) });
      return;
    }
    const { words } = message.page;
    const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
    const bounds: number[] = [];
    forEachMetadata(message.page, (start, end) => void bounds.push(start, end));
    this.pages.push({ first: this.items, bytes, bounds });
    // One code unit a byte: plain ASCII, which nearly all metadata is, is stored unchanged.
    const units = bytes.toString('latin1');
    for (let at = 0; at < bounds.length; at += 2) {
      const [start, end] = [bounds[at]!, bounds[at + 1]!];
      scan.read(units, start, end, () => bytes.toString('utf8', start, end));
      gatherer.gather(this.items, scan);
      this.items++;
    }
    reply({ kind: 'indexed', items: this.items });
  }

  private metadataOf(number: number): Metadata {
    let low = 0;
    let high = this.pages.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.pages[middle]!.first <= number) low = middle;
      else high = middle;
    }
    const { first, bytes, bounds } = this.pages[low]!;
    const at = (number - first) * 2;
    return JSON.parse(bytes.toString('utf8', bounds[at]!, bounds[at + 1]!)) as Metadata;
  }
}
