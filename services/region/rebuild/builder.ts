/** The far side of a rebuild: gathers what the items have as they come, and puts it in order when those were all. */
import type { Metadata } from '../../../shared/protocol/events.ts';
import { MetadataScan } from '../../../shared/protocol/metadata-scan.ts';
import type { FacetsImage } from '../state/facets/facets.ts';
import type { TextImage } from '../state/text/text.ts';
import type { FromBuilder, ToBuilder } from './rebuild.ts';

/** What is made of the items. */
export interface Gatherings {
  readonly text: {
    gather(number: number, metadata: MetadataScan): void;
    settle(ordinals: Int32Array): void;
    image(): TextImage;
  };
  readonly facets: {
    gather(number: number, metadata: MetadataScan): void;
    image(ordinals: Int32Array): FacetsImage;
  };
}

export interface BuilderOptions {
  readonly create: (metadataOf: (number: number) => Metadata) => Gatherings;
  readonly reply: (message: FromBuilder) => void;
}

export class Builder {
  private readonly options: BuilderOptions;
  private readonly gatherings: Gatherings;
  /** All items: facets look again at what some have. `first`: the number of the first one. */
  private readonly chunks: { readonly first: number; readonly bytes: Buffer; readonly ends: Uint32Array }[] = [];
  private readonly scan = new MetadataScan();
  private items = 0;

  constructor(options: BuilderOptions) {
    this.options = options;
    this.gatherings = options.create((number) => this.metadataOf(number));
  }

  take(message: ToBuilder): void {
    const { text, facets } = this.gatherings;
    const { reply } = this.options;
    const { scan } = this;
    if (message.kind === 'items') {
      const { buffer, byteOffset, length } = message.bytes;
      const bytes = Buffer.from(buffer, byteOffset, length);
      this.chunks.push({ first: this.items, bytes, ends: message.ends });
      let start = 0;
      // A byte a unit: plain ASCII, as nearly all is, stands there as it is.
      const units = bytes.toString('latin1');
      for (const end of message.ends) {
        const from = start;
        scan.read(units, from, end, () => bytes.toString('utf8', from, end));
        text.gather(this.items, scan);
        facets.gather(this.items, scan);
        this.items++;
        start = end;
      }
      reply({ kind: 'told', items: this.items });
    } else {
      text.settle(message.ordinals);
      reply({ kind: 'built', rebuilt: { text: text.image(), facets: facets.image(message.ordinals) } });
    }
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
