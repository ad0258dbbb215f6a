/**
 * Ranking behind its contract, by scoring every live item that passes the filters and keeping the best in a bounded heap.
 * Exact, and linear in the number of live items.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import type { ScorePart } from '../../../shared/kernel/ranking.ts';
import type { Scored } from '../../../shared/kernel/top-scores.ts';
import type { Schema } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import { type Facets, type Selection, textsOf } from '../state/facets/facets.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { VectorIndex } from '../state/vectors/vectors.ts';
import { compileProfile } from './custom-profile.ts';
import { explainers } from './explain-profiles.ts';
import { diversePage } from './max-per.ts';
import { formulas, type ScoredProfile } from './profiles.ts';
import { type FeedItem, type FeedQuery, type FeedResult, profiles, type Rank, type SignalSummary } from './rank.ts';
import type { Scorer } from './scorer.ts';
import { SignalSums } from './signal-sums.ts';
import { TopK } from './top-k.ts';

export interface RankParts {
  readonly schema: Schema;
  readonly entities: Entities;
  readonly facets: Facets;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly vectors: Pick<VectorIndex, 'nearest'>;
  /** The moment reads are answered for where the client names none, epoch ms. */
  readonly nowMs: () => number;
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
  readonly profiles: readonly string[];
  private readonly custom: ReadonlyMap<string, (atMs: number) => Scorer>;
  private readonly entities: Entities;
  private readonly facets: Facets;
  private readonly schema: Schema;
  private readonly catalog: Catalog;
  private readonly ledger: Ledger;
  private readonly vectors: Pick<VectorIndex, 'nearest'>;
  private readonly sums: SignalSums;
  private readonly topK: TopK;

  constructor(parts: RankParts) {
    this.entities = parts.entities;
    this.facets = parts.facets;
    this.schema = parts.schema;
    this.catalog = parts.catalog;
    this.ledger = parts.ledger;
    this.vectors = parts.vectors;
    this.sums = new SignalSums(parts);
    this.topK = new TopK({ ...parts, ceilings: parts.ledger.ceilings });
    this.profiles = [...profiles, ...parts.schema.profiles.keys()];
    this.custom = new Map([...parts.schema.profiles].map(([name, profile]) => [name, compileProfile(profile, parts)]));
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
      items: page.map((candidate, index) => this.present(query, candidate, skip + index + 1, atMs)),
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
    if (query.profile === 'related') return this.rankRelated(query.entity, this.facets.select(query.filters), wanted);
    const selection = query.filters.length === 0 ? undefined : this.facets.select(query.filters);
    const ranking = this.topK.ranking(this.scorer(query, atMs), selection, atMs);
    const { total } = ranking;
    return { best: total === 0 ? [] : ranking.after(undefined, Math.min(wanted, total)), total };
  }

  private scorer({ profile, window, seed }: FeedQuery, atMs: number): Scorer {
    const custom = this.custom.get(profile);
    if (custom !== undefined) return custom(atMs);
    assert(Object.hasOwn(formulas, profile), 'the parser refuses unknown profiles', () => profile);
    const moment = { window, seed, atMs };
    const { score, bound, quiet } = formulas[profile as ScoredProfile](this.sums, moment);
    const explain = explainers[profile as ScoredProfile];
    const item = { entity: 0, createdMs: 0 };
    return {
      gated: false,
      score(entity, createdMs) {
        item.entity = entity;
        item.createdMs = createdMs;
        return score(item);
      },
      bound,
      ...(quiet === undefined ? {} : { quiet }),
      explain: (entity, createdMs) => explain(this.sums, moment, { entity, createdMs }),
    };
  }

  private explain(query: FeedQuery, { entity, score }: Scored, createdMs: number, atMs: number): readonly ScorePart[] {
    if (query.profile === 'related') return [{ term: 'similarity', value: score, weight: 1, part: score }];
    return this.scorer(query, atMs).explain(entity, createdMs);
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

  private present(query: FeedQuery, scored: Scored, rank: number, atMs: number): FeedItem {
    const { entity, score } = scored;
    const item = this.catalog.item(entity);
    assert(item !== undefined, 'only live items are ranked', () => entity);
    const signals = this.summary(entity, atMs);
    const presented = { entity_id: entity, rank, score, metadata: item.metadata, signals };
    return query.explain ? { ...presented, explain: this.explain(query, scored, item.createdMs, atMs) } : presented;
  }
}
