/**
 * Implementation of search: queries the vector index, then ranks by text in the turn of the event loop in which its result is
 * valid.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import type { Filter } from '../filter/filter.ts';
import { rankingOf } from '../scored/scored.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { FilterIndex, Selection } from '../state/filter-index/filter-index.ts';
import type { TextIndex, TextRanking, WeightedTerm } from '../state/text/text.ts';
import type { VectorHit, Vectors } from '../state/vectors/vectors.ts';
import { type Fused, fuse } from './fusion.ts';
import { CANDIDATES, type Found, type Search, type SearchQuestion } from './search.ts';

/** How many words of an item are used to find related items. */
const RELATED_TERMS = 16;
/**
 * How many neighbours a search by vector alone requests: twice what the page needs, because the last results of a graph are the
 * least reliable; and few different numbers, so that successive pages use the same list.
 */
const DEPTHS = [128, 256, 512, CANDIDATES] as const;

export interface SearchParts {
  readonly dimensions: number;
  readonly catalog: Pick<Catalog, 'item' | 'embedding' | 'embeddedAmong'>;
  readonly filterIndex: Pick<FilterIndex, 'select'>;
  readonly text: Pick<TextIndex, 'rank' | 'significantTerms'>;
  readonly vectors: Pick<Vectors, 'nearest'>;
}

export function createSearch(parts: SearchParts): Search {
  return new FusedSearch(parts);
}

/** The rankings of a search, and the entity it excludes. */
interface Lists {
  readonly text?: TextRanking | undefined;
  readonly hits?: readonly VectorHit[] | undefined;
  readonly without?: number;
}

class FusedSearch implements Search {
  private readonly parts: SearchParts;

  constructor(parts: SearchParts) {
    this.parts = parts;
  }

  async find<T>({ text, vector, filters, reach }: SearchQuestion, answer: (found: Found) => T): Promise<T> {
    const { dimensions, vectors } = this.parts;
    const select = (): Selection | undefined => this.select(filters);
    const ranked = (): TextRanking | undefined =>
      text === undefined ? undefined : this.parts.text.rank(text, select());
    if (vector === undefined) {
      assert(text !== undefined, 'a search has a text or a vector');
      return answer(found({ text: ranked() }));
    }
    if (vector.length !== dimensions) {
      throw new Refusal('wrong_dimensions', `the vector has ${vector.length} values; the schema says ${dimensions}`, {
        errors: [{ path: 'vector', message: `must have ${dimensions} numbers` }],
      });
    }
    if (text === undefined) return this.findNearest(vector, { select, reach: reach ?? CANDIDATES }, answer);
    // The text is checked before the vector index is queried.
    ranked();
    return vectors.nearest({ values: vector, limit: CANDIDATES, select }, (hits) =>
      answer(found({ text: ranked(), hits })),
    );
  }

  private async findNearest<T>(
    values: Float32Array,
    { select, reach }: { readonly select: () => Selection | undefined; readonly reach: number },
    answer: (found: Found) => T,
  ): Promise<T> {
    const { catalog, vectors } = this.parts;
    let isShort = false;
    const nearest = (limit: number): Promise<T> =>
      vectors.nearest({ values, limit, select }, (hits) => {
        const all = limit === CANDIDATES ? hits.length : Math.min(CANDIDATES, catalog.embeddedAmong(select()));
        const ranking = nearestRanking(hits, all);
        isShort = hits.length < Math.min(limit, all);
        return answer({
          ...ranking,
          after(key, wanted) {
            const ranked = ranking.after(key, wanted);
            isShort ||= ranked.length < wanted && hits.length < all;
            return ranked;
          },
        });
      });
    let at = DEPTHS.findIndex((depth) => depth >= Math.min(2 * reach, CANDIDATES));
    let answered = await nearest(DEPTHS[at]!);
    while (isShort && ++at < DEPTHS.length) answered = await nearest(DEPTHS[at]!);
    return answered;
  }

  async related<T>(entity: number, filters: readonly Filter[], answer: (found: Found) => T): Promise<T> {
    const { catalog, text, vectors } = this.parts;
    const select = (): Selection | undefined => this.select(filters);
    /** The item as of this turn: it may have been deleted or changed while its neighbours were searched. */
    const ranked = (hits: readonly VectorHit[] | undefined): Found => {
      const terms = this.termsOf(entity);
      return found({ text: terms.length === 0 ? undefined : text.rank(terms, select()), hits, without: entity });
    };
    const terms = this.termsOf(entity);
    const values = catalog.embedding(entity);
    if (values !== undefined) {
      return vectors.nearest({ values, limit: CANDIDATES, select }, (hits) => answer(ranked(hits)));
    }
    if (terms.length === 0) {
      throw new Refusal('no_embedding', `item ${entity} has neither an embedding nor text to find related items by`, {
        hint: 'add an embedding with POST /embeddings, or text in a searched field',
      });
    }
    return answer(ranked(undefined));
  }

  /** Throws `unknown_item`. */
  private termsOf(entity: number): readonly WeightedTerm[] {
    const { catalog, text } = this.parts;
    if (catalog.item(entity) === undefined) throw new Refusal('unknown_item', `item ${entity} does not exist`);
    return text.significantTerms(entity, RELATED_TERMS);
  }

  private select(filters: readonly Filter[]): Selection | undefined {
    return filters.length === 0 ? undefined : this.parts.filterIndex.select(filters);
  }
}

function found({ text, hits, without }: Lists): Found {
  if (text !== undefined && hits === undefined && without === undefined) {
    // Read only after the page, because paging computes the count in the same scan.
    return {
      get total() {
        return text.total;
      },
      after: (key, limit) => text.after(key, limit),
      explain: (entity) => text.explain(entity),
      get candidates() {
        return { text: text.total };
      },
    };
  }
  const others = ({ entity }: { readonly entity: number }): boolean => entity !== without;
  const nearest = hits?.filter(others);
  const words = text?.after(undefined, CANDIDATES).filter(others);
  const list = (name: string, ranked: readonly { readonly entity: number }[] | undefined) =>
    ranked === undefined ? [] : [{ name, entities: ranked.map(({ entity }) => entity) }];
  return {
    ...asRanking(fuse([...list('text', words), ...list('vector', nearest)])),
    candidates: {
      ...(words === undefined ? {} : { text: words.length }),
      ...(nearest === undefined ? {} : { vector: nearest.length }),
    },
  };
}

/** By similarity alone; `total` items have a vector, and `hits` were found. */
function nearestRanking(hits: readonly VectorHit[], total: number): Found {
  const best = hits.map(({ entity, similarity }) => ({ entity, score: similarity }));
  return {
    ...rankingOf(best, total),
    explain(entity) {
      const score = best.find((hit) => hit.entity === entity)?.score;
      return score === undefined ? [] : [{ term: 'cosine similarity', value: score, weight: 1, part: score }];
    },
    candidates: { vector: total },
  };
}

function asRanking({ best, explain }: Fused): Omit<Found, 'candidates'> {
  return { ...rankingOf(best), explain };
}
