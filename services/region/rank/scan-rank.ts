/**
 * Ranking behind its contract, by scoring every live item that passes the filters and keeping the best in a bounded heap.
 * Exact, and linear in the number of live items.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { type Scored, TopScores } from '../../../shared/kernel/top-scores.ts';
import type { Schema } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import { type Facets, type Selection, textsOf } from '../state/facets/facets.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { VectorIndex } from '../state/vectors/vectors.ts';
import { diversePage } from './max-per.ts';
import { scorers } from './profiles.ts';
import type { FeedItem, FeedQuery, FeedResult, Rank, SignalSummary } from './rank.ts';
import { SignalSums } from './signal-sums.ts';

export interface RankParts {
  readonly schema: Schema;
  readonly entities: Entities;
  readonly facets: Facets;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly vectors: Pick<VectorIndex, 'nearest'>;
}

export function createRank(parts: RankParts): Rank {
  return new ScanRank(parts);
}

/** The first `wanted` of the ranking, best first, and the length of the whole ranking. */
interface Ranking {
  readonly best: readonly Scored[];
  readonly total: number;
}

class ScanRank implements Rank {
  private readonly entities: Entities;
  private readonly facets: Facets;
  private readonly schema: Schema;
  private readonly catalog: Catalog;
  private readonly ledger: Ledger;
  private readonly vectors: Pick<VectorIndex, 'nearest'>;
  private readonly sums: SignalSums;

  constructor(parts: RankParts) {
    this.entities = parts.entities;
    this.facets = parts.facets;
    this.schema = parts.schema;
    this.catalog = parts.catalog;
    this.ledger = parts.ledger;
    this.vectors = parts.vectors;
    this.sums = new SignalSums(parts);
  }

  feed(query: FeedQuery, atMs: number): FeedResult {
    const { limit, skip, maxPer } = query;
    // Which items a diverse page passes over is only known from the whole ranking.
    const wanted = maxPer === undefined ? skip + limit : Number.POSITIVE_INFINITY;
    const { best, total } = this.rank(query, atMs, wanted);
    const { page, relaxed } =
      maxPer === undefined
        ? { page: best.slice(skip, skip + limit), relaxed: false }
        : diversePage(best, { ...maxPer, limit, skip, valuesOf: ({ entity }) => this.valuesOf(entity, maxPer.field) });
    return {
      items: page.map((candidate, index) => this.present(candidate, skip + index + 1, atMs)),
      totalScored: total,
      relaxed: relaxed && maxPer !== undefined ? [`max_per=${maxPer.field}:${maxPer.count}`] : [],
      more: page.length === limit && total > skip + limit,
    };
  }

  summary(entity: number, atMs: number): SignalSummary {
    const summary: Record<string, Record<string, number>> = {};
    for (const { name, windows: shown } of this.schema.signals.values()) {
      const reading = this.ledger.read(entity, name, atMs);
      if (reading === undefined) continue;
      const shownSums = windows
        .filter((window) => shown.includes(window))
        .map((window) => [window, reading.sums[window]]);
      summary[name] = { ...Object.fromEntries(shownSums), decayed: reading.decayed };
    }
    return summary;
  }

  private rank(query: FeedQuery, atMs: number, wanted: number): Ranking {
    const selection = this.facets.select(query.filters);
    if (query.profile === 'related') return this.rankRelated(query.entity, selection, wanted);
    const score = scorers[query.profile](this.sums, { window: query.window, seed: query.seed, atMs });
    const top = new TopScores(Math.max(1, Math.min(wanted, this.catalog.size)));
    selection.forEach((ordinal) => {
      const item = this.catalog.item(this.entities.entity(ordinal))!;
      top.add(item.entity, score(item));
    });
    return { best: top.sorted(), total: selection.count };
  }

  /** The nearest neighbours of the entity's embedding, itself excluded. */
  private rankRelated(entity: number | undefined, selection: Selection, wanted: number): Ranking {
    assert(entity !== undefined, 'the parser refuses related without an entity');
    if (this.catalog.item(entity) === undefined) throw new Refusal('unknown_item', `item ${entity} does not exist`);
    const values = this.catalog.embedding(entity);
    if (values === undefined) {
      throw new Refusal('no_embedding', `item ${entity} has no embedding to relate others to`, {
        hint: 'give it one with POST /embeddings',
      });
    }
    let total = 0;
    selection.forEach((ordinal) => {
      const other = this.entities.entity(ordinal);
      if (other !== entity && this.catalog.embedding(other) !== undefined) total += 1;
    });
    if (total === 0) return { best: [], total };
    const hits = this.vectors.nearest(values, Math.min(wanted, total), (other) => {
      return other !== entity && selection.has(this.entities.find(other));
    });
    return { best: hits.map((hit) => ({ entity: hit.entity, score: hit.similarity })), total };
  }

  private valuesOf(entity: number, field: string): readonly string[] {
    const metadata = this.catalog.item(entity)?.metadata ?? {};
    return Object.hasOwn(metadata, field) ? textsOf(metadata[field]) : [];
  }

  private present({ entity, score }: Scored, rank: number, atMs: number): FeedItem {
    const item = this.catalog.item(entity);
    assert(item !== undefined, 'only live items are ranked', () => entity);
    return { entity_id: entity, rank, score, metadata: item.metadata, signals: this.summary(entity, atMs) };
  }
}
