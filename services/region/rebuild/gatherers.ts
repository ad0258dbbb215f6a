/** Joins the implementations of both indexes. */
import type { Metadata } from '../../../shared/protocol/events.ts';
import { FilterIndexGathering } from '../state/filter-index/filter-index-gathering.ts';
import type { FieldAnalysis } from '../state/text/analysis/analysis.ts';
import { InvertedIndex } from '../state/text/inverted-index.ts';
import type { Gatherer } from './builder.ts';
import type { Built } from './rebuild.ts';

export interface GathererOptions {
  /** The schema's text fields, in its order. */
  readonly fieldNames: readonly string[];
  /** Of each of them; absent: the default. */
  readonly analyses?: readonly FieldAnalysis[] | undefined;
  readonly metadataOf: (number: number) => Metadata;
  /** Initial capacity, in values. */
  readonly capacity?: number;
}

export function gathererOf(build: Built, { fieldNames, analyses, metadataOf, capacity }: GathererOptions): Gatherer {
  if (build === 'filterIndex') {
    const filterIndex = new FilterIndexGathering({ metadataOf, capacity: capacity });
    return {
      gather: (number, metadata) => filterIndex.gather(number, metadata),
      finish: (ordinals) => ({ filterIndex: filterIndex.image(ordinals) }),
    };
  }
  const index = new InvertedIndex({ fieldNames, analyses, capacity });
  return {
    gather: (number, metadata) => index.gather(number, metadata),
    finish(ordinals) {
      index.finish(ordinals);
      return { text: index.image() };
    },
  };
}
