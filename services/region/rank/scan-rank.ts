/** Ranking behind its contract: every profile as a scorer, the best found by `top-k.ts`. */
import { Refusal } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { type Ranking, rankingOf, type ScorePart } from '../../../shared/kernel/ranking.ts';
import type { Scored } from '../../../shared/kernel/top-scores.ts';
import type { Schema } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { Selection } from '../state/facets/facets.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { VectorIndex } from '../state/vectors/vectors.ts';
import { compileProfile } from './custom-profile.ts';
import { explainers } from './explain-profiles.ts';
import { formulas, type ScoredProfile } from './profiles.ts';
import { profiles, type Rank, type RankingQuery, type SignalSummary } from './rank.ts';
import type { Scorer } from './scorer.ts';
import { SignalSums } from './signal-sums.ts';
import { TopK } from './top-k.ts';

export interface RankParts {
  readonly schema: Schema;
  readonly entities: Entities;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly vectors: Pick<VectorIndex, 'nearest'>;
  /** The moment reads are answered for where the client names none, epoch ms. */
  readonly nowMs: () => number;
}

export function createRank(parts: RankParts): Rank {
  return new ProfileRank(parts);
}

class ProfileRank implements Rank {
  readonly profiles: readonly string[];
  private readonly parts: RankParts;
  private readonly custom: ReadonlyMap<string, (atMs: number) => Scorer>;
  private readonly sums: SignalSums;
  private readonly topK: TopK;

  constructor(parts: RankParts) {
    this.parts = parts;
    this.sums = new SignalSums(parts);
    this.topK = new TopK({ ...parts, ceilings: parts.ledger.ceilings });
    this.profiles = [...profiles, ...parts.schema.profiles.keys()];
    this.custom = new Map([...parts.schema.profiles].map(([name, profile]) => [name, compileProfile(profile, parts)]));
  }

  ranking(query: RankingQuery, selected: Selection | undefined, atMs: number): Ranking {
    if (query.profile === 'related') return this.related(query.entity, selected ?? this.everything());
    const all = selected?.count === this.parts.catalog.size;
    return this.topK.ranking(this.scorer(query, atMs), all ? undefined : selected, atMs);
  }

  explain(query: RankingQuery, { entity, score }: Scored, atMs: number): readonly ScorePart[] {
    if (query.profile === 'related') return [{ term: 'similarity', value: score, weight: 1, part: score }];
    const { catalog, entities } = this.parts;
    return this.scorer(query, atMs).explain(entity, catalog.createdMs(entities.find(entity)));
  }

  private everything(): Pick<Selection, 'count' | 'has' | 'forEach'> {
    const { catalog, entities } = this.parts;
    const has = (ordinal: number): boolean => ordinal >= 0 && catalog.createdMs(ordinal) >= 0;
    return {
      count: catalog.size,
      has,
      forEach(visit) {
        for (let ordinal = 0; ordinal < entities.size; ordinal++) if (has(ordinal)) visit(ordinal);
      },
    };
  }

  summary(entity: number, atMs: number): SignalSummary {
    const summary: Record<string, Record<string, number>> = {};
    for (const { name, windows: shown } of this.parts.schema.signals.values()) {
      const reading = this.parts.ledger.read(entity, name, atMs);
      if (reading === undefined) continue;
      const shownSums = windows
        .filter((window) => shown.includes(window))
        .map((window) => [window, reading.sums[window]]);
      summary[name] = { ...Object.fromEntries(shownSums), decayed: reading.decayed };
    }
    return summary;
  }

  private scorer({ profile, window, seed }: RankingQuery, atMs: number): Scorer {
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

  /** The nearest neighbours of the entity's embedding, itself excluded. */
  private related(entity: number | undefined, selection: Pick<Selection, 'has' | 'forEach'>): Ranking {
    const { catalog, entities, vectors } = this.parts;
    assert(entity !== undefined, 'the parser refuses related without an entity');
    if (catalog.item(entity) === undefined) throw new Refusal('unknown_item', `item ${entity} does not exist`);
    const values = catalog.embedding(entity);
    if (values === undefined) {
      throw new Refusal('no_embedding', `item ${entity} has no embedding to relate others to`, {
        hint: 'give it one with POST /embeddings',
      });
    }
    let total = 0;
    selection.forEach((ordinal) => {
      const other = entities.entity(ordinal);
      if (other !== entity && catalog.embedding(other) !== undefined) total += 1;
    });
    const accept = (other: number): boolean => other !== entity && selection.has(entities.find(other));
    return {
      total,
      after: (key, limit) => {
        // How many come before the key is only known from the answer.
        for (let wanted = limit; total > 0; wanted *= 4) {
          const hits = vectors.nearest(values, Math.min(wanted, total), accept);
          const best = hits.map((hit) => ({ entity: hit.entity, score: hit.similarity }));
          const found = rankingOf(best).after(key, limit);
          if (found.length === limit || wanted >= total) return found;
        }
        return [];
      },
    };
  }
}
