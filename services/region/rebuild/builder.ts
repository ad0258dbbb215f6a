/** The far side of a rebuild: gathers what the items have as they come, and puts it in order when those were all. */
import type { Metadata } from '../../../shared/protocol/events.ts';
import { MetadataScan } from '../../../shared/protocol/metadata-scan.ts';
import type { FromBuilder, Rebuilt, ToBuilder } from './rebuild.ts';

/** What gathers for one index. */
export interface Gatherer {
  gather(number: number, metadata: MetadataScan): void;
  /** Everything in order, each item under its ordinal, which is at its number in `ordinals`. */
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
  /** All items: facets look again at what some have. `first`: the number of the first one. */
  private readonly chunks: { readonly first: number; readonly bytes: Buffer; readonly ends: Uint32Array }[] = [];
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
    const { buffer, byteOffset, length } = message.bytes;
    const bytes = Buffer.from(buffer, byteOffset, length);
    this.chunks.push({ first: this.items, bytes, ends: message.ends });
    // A unit a byte: plain ASCII, as nearly all is, stands there as it is.
    const units = bytes.toString('latin1');
    let start = 0;
    for (const end of message.ends) {
      const from = start;
      scan.read(units, from, end, () => bytes.toString('utf8', from, end));
      gatherer.gather(this.items, scan);
      this.items++;
      start = end;
    }
    reply({ kind: 'told', items: this.items });
  }

  private metadataOf(number: number): Metadata {
    let low = 0;
    let high = this.chunks.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.chunks[middle]!.first <= number) low = middle;
      else high = middle;
    }
    const { first, bytes, ends } = this.chunks[low]!;
    const at = number - first;
    return JSON.parse(bytes.toString('utf8', at === 0 ? 0 : ends[at - 1]!, ends[at]!)) as Metadata;
  }
}
