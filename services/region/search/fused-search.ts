/** Implementation of search: queries the vector index, and ranks by text in the turn in which its result is valid. */
import { Refusal } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { compileFilters } from '../filter/filter.ts';
import { matchesOf } from '../result/result.ts';
import { type Matches, rankingOf } from '../scored/scored.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Changes } from '../state/changes/changes.ts';
import type { FilterIndex, Selection } from '../state/filter-index/filter-index.ts';
import type { TextQuery } from '../state/text/query/query.ts';
import type { RunSteps, TextIndex, TextRanking, WeightedTerm } from '../state/text/text.ts';
import type { VectorHit, Vectors } from '../state/vectors/vectors.ts';
import { type Fused, fuse } from './fusion.ts';
import {
  CANDIDATES,
  type Found,
  type Marking,
  type Search,
  type SearchQuestion,
  type TextReading,
  type TextSlices,
} from './search.ts';

/** Whether a text asks for everything. */
function isEverything(text: string): boolean {
  return text.trim() === '' || text.trim() === '*';
}

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
  /** The items that are written to. */
  readonly changes: Pick<Changes, 'watch'>;
  readonly filterIndex: Pick<FilterIndex, 'select' | 'selectPresent' | 'excluding'>;
  readonly text: Pick<TextIndex, 'rank' | 'significantTerms'>;
  readonly vectors: Pick<Vectors, 'nearest'>;
}

export function createSearch(parts: SearchParts): Search {
  return new FusedSearch(parts);
}

/** The rankings of a search, and the entity it excludes. */
interface Lists {
  /** By the words. */
  readonly words?: RankedWords | undefined;
  readonly hits?: readonly VectorHit[] | undefined;
  readonly without?: number | undefined;
  readonly marking?: Marking;
}

/** The items that may be found. */
type Among = Pick<SearchQuestion, 'filters' | 'exclude'>;

interface RankedWords {
  /** Best first. */
  readonly entities: readonly number[];
  readonly relaxed: readonly string[];
}

/** What a search by words and by a vector looks for, and the entity it excludes. */
interface Both {
  readonly values: Float32Array;
  readonly among: Among;
  readonly query: (run: RunSteps) => TextQuery | readonly WeightedTerm[];
  readonly without?: number;
}

class FusedSearch implements Search {
  private readonly parts: SearchParts;

  constructor(parts: SearchParts) {
    this.parts = parts;
  }

  async find<T>(
    { text, vector, filters, exclude = [], reach, statistics, tieOf }: SearchQuestion,
    reading: TextReading,
    answer: (found: Found) => T,
  ): Promise<T> {
    const { dimensions } = this.parts;
    const among = { filters, exclude };
    const isWhole = text === undefined || isEverything(text.text);
    if (vector === undefined) {
      assert(text !== undefined, 'a search has a text or a vector');
      return reading.run((slices) => {
        if (isWhole) return answer(this.everything(among, slices));
        const ranking = this.parts.text.rank(text, this.indexed(among), slices.run, statistics, tieOf);
        return answer(foundByText(ranking, slices));
      });
    }
    if (vector.length !== dimensions) {
      throw new Refusal('wrong_dimensions', `the vector has ${vector.length} values; the schema says ${dimensions}`, {
        errors: [{ path: 'vector', message: `must have ${dimensions} numbers` }],
      });
    }
    if (isWhole) return this.findNearest(vector, among, reach ?? CANDIDATES, answer);
    // The text is checked before the vector index is queried.
    await reading.run(({ run }) => void this.parts.text.rank(text, undefined, run));
    return this.fuseBoth({ values: vector, among, query: () => text }, reading, answer);
  }

  /** Every item that passes the filters. */
  private everything(among: Among, slices: TextSlices): Found {
    const selection = this.indexed(among) ?? this.parts.filterIndex.select([]);
    const matches = (): Matches => slices.run('everything', () => matchesOf(selection));
    return {
      total: selection.count,
      after: () => [],
      explain: () => [],
      whole: { matches, run: slices.run, isRanked: false },
      candidates: {},
      relaxed: [],
      get position() {
        return slices.position;
      },
    };
  }

  /** Fuses in the turn in which the neighbours are valid, or later if ranking by the words takes longer than that turn may. */
  private async fuseBoth<T>(
    { values, among, query, without }: Both,
    reading: TextReading,
    answer: (found: Found) => T,
  ): Promise<T> {
    const { catalog, changes, vectors } = this.parts;
    const ranked = (run: RunSteps): RankedWords | undefined => this.ranked(query(run), among, run);
    const marking = (run: RunSteps): Marking => {
      const ranking = this.parts.text.rank(query(run), this.indexed(among), run);
      return { run, marks: (field, content) => ranking.marks(field, content) };
    };
    const select = (): Selection | undefined => this.present(among);
    const answered = await vectors.nearest({ values, limit: CANDIDATES, select }, (hits) => {
      const now = reading.now(({ run }) => answer(found({ words: ranked(run), hits, without, marking: marking(run) })));
      return now ?? { hits, watch: changes.watch(), position: reading.position() };
    });
    if ('value' in answered) return answered.value;
    const { hits, watch, position } = answered;
    const test = compileFilters(among.filters);
    const written = new Set<number>();
    try {
      return await reading.run(({ run }) => {
        const words = ranked(run);
        const isKnown = watch.take(written);
        const still = hits.filter(({ entity }) => {
          if (isKnown && !written.has(entity)) return true;
          const item = catalog.item(entity);
          return item !== undefined && catalog.embedding(entity) !== undefined && test(item.metadata);
        });
        return answer({ ...found({ words, hits: still, without, marking: marking(run) }), position });
      });
    } finally {
      watch.end();
    }
  }

  private ranked(query: TextQuery | readonly WeightedTerm[], among: Among, run: RunSteps): RankedWords | undefined {
    if (Array.isArray(query) && query.length === 0) return undefined;
    const ranking = this.parts.text.rank(query, this.indexed(among), run);
    const entities = ranking.after(undefined, CANDIDATES).map(({ entity }) => entity);
    return { entities, relaxed: ranking.relaxed };
  }

  private async findNearest<T>(
    values: Float32Array,
    among: Among,
    reach: number,
    answer: (found: Found) => T,
  ): Promise<T> {
    const { catalog, vectors } = this.parts;
    const select = (): Selection | undefined => this.present(among);
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

  async related<T>(entity: number, among: Among, reading: TextReading, answer: (found: Found) => T): Promise<T> {
    const { catalog } = this.parts;
    const query = (run: RunSteps): readonly WeightedTerm[] => this.termsOf(entity, run);
    const byWords = ({ run, position }: TextSlices): T => {
      const words = this.ranked(query(run), among, run);
      if (words !== undefined) return answer({ ...found({ words, without: entity }), position });
      throw new Refusal('no_embedding', `item ${entity} has neither an embedding nor text to find related items by`, {
        hint: 'add an embedding with POST /embeddings, or text in a searched field',
      });
    };
    this.requireItem(entity);
    const values = catalog.embedding(entity);
    if (values !== undefined) return this.fuseBoth({ values, among, query, without: entity }, reading, answer);
    return reading.run(byWords);
  }

  /** Throws `unknown_item`. */
  private termsOf(entity: number, run: RunSteps): readonly WeightedTerm[] {
    this.requireItem(entity);
    return this.parts.text.significantTerms(entity, RELATED_TERMS, run);
  }

  private requireItem(entity: number): void {
    if (this.parts.catalog.item(entity) === undefined) {
      throw new Refusal('unknown_item', `item ${entity} does not exist`);
    }
  }

  private indexed({ filters, exclude = [] }: Among): Selection | undefined {
    const { filterIndex } = this.parts;
    if (filters.length === 0 && exclude.length === 0) return undefined;
    return filterIndex.excluding(filterIndex.select(filters), exclude);
  }

  private present({ filters, exclude = [] }: Among): Selection | undefined {
    const { filterIndex } = this.parts;
    if (filters.length === 0 && exclude.length === 0) return undefined;
    return filterIndex.excluding(filterIndex.selectPresent(filters), exclude);
  }
}

function foundByText(text: TextRanking, slices: TextSlices): Found {
  // The number is read only after the page, because paging computes it in the same scan.
  return {
    get total() {
      return text.total;
    },
    after: (key, limit) => text.after(key, limit),
    statistics: () => text.statistics(),
    whole: { matches: () => text.matches(), run: slices.run, isRanked: true },
    marking: { marks: (field, content) => text.marks(field, content), run: slices.run },
    explain: (entity) => text.explain(entity),
    get candidates() {
      return { text: text.total };
    },
    get position() {
      return slices.position;
    },
    get relaxed() {
      return text.relaxed;
    },
  };
}

function found({ words, hits, without, marking }: Lists): Found {
  const nearest = hits?.filter(({ entity }) => entity !== without).map(({ entity }) => entity);
  const ranked = words?.entities.filter((entity) => entity !== without);
  const list = (name: string, entities: readonly number[] | undefined) =>
    entities === undefined ? [] : [{ name, entities }];
  return {
    ...asRanking(fuse([...list('text', ranked), ...list('vector', nearest)])),
    relaxed: words?.relaxed ?? [],
    ...(marking === undefined ? {} : { marking }),
    candidates: {
      ...(ranked === undefined ? {} : { text: ranked.length }),
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
    relaxed: [],
  };
}

function asRanking({ best, explain }: Fused): Omit<Found, 'candidates' | 'relaxed'> {
  return { ...rankingOf(best), fused: best, explain };
}
