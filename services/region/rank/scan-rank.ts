/**
 * Ranking behind its contract, by scoring every live item that passes the filters and keeping the best in a bounded heap.
 * Exact, and linear in the number of live items.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { type Ranking, rankingOf } from '../../../shared/kernel/ranking.ts';
import { compareScored, TopScores } from '../../../shared/kernel/top-scores.ts';
import type { Schema } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { Selection } from '../state/facets/facets.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import type { VectorIndex } from '../state/vectors/vectors.ts';
import { scorers } from './profiles.ts';
import type { Rank, RankingQuery, SignalSummary } from './rank.ts';
import { SignalSums } from './signal-sums.ts';

export interface RankParts {
  readonly schema: Schema;
  readonly entities: Entities;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  readonly vectors: Pick<VectorIndex, 'nearest'>;
}

export function createRank(parts: RankParts): Rank {
  return new ScanRank(parts);
}

class ScanRank implements Rank {
  private readonly entities: Entities;
  private readonly schema: Schema;
  private readonly catalog: Catalog;
  private readonly ledger: Ledger;
  private readonly vectors: Pick<VectorIndex, 'nearest'>;
  private readonly sums: SignalSums;

  constructor(parts: RankParts) {
    this.entities = parts.entities;
    this.schema = parts.schema;
    this.catalog = parts.catalog;
    this.ledger = parts.ledger;
    this.vectors = parts.vectors;
    this.sums = new SignalSums(parts);
  }

  ranking(query: RankingQuery, selected: Selection | undefined, atMs: number): Ranking {
    const selection = selected ?? this.everything();
    if (query.profile === 'related') return this.related(query.entity, selection);
    const score = scorers[query.profile](this.sums, { window: query.window, seed: query.seed, atMs });
    return {
      total: selection.count,
      after: (key, limit) => {
        const top = new TopScores(Math.max(1, Math.min(limit, selection.count)));
        selection.forEach((ordinal) => {
          const item = this.catalog.item(this.entities.entity(ordinal))!;
          const scored = { entity: item.entity, score: score(item) };
          if (key === undefined || compareScored(key, scored) < 0) top.add(scored.entity, scored.score);
        });
        return top.sorted();
      },
    };
  }

  private everything(): Pick<Selection, 'count' | 'has' | 'forEach'> {
    const { catalog, entities } = this;
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

  /** The nearest neighbours of the entity's embedding, itself excluded. */
  private related(entity: number | undefined, selection: Pick<Selection, 'has' | 'forEach'>): Ranking {
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
    const accept = (other: number): boolean => other !== entity && selection.has(this.entities.find(other));
    return {
      total,
      after: (key, limit) => {
        // How many come before the key is only known from the answer.
        for (let wanted = limit; total > 0; wanted *= 4) {
          const hits = this.vectors.nearest(values, Math.min(wanted, total), accept);
          const best = hits.map((hit) => ({ entity: hit.entity, score: hit.similarity }));
          const found = rankingOf(best).after(key, limit);
          if (found.length === limit || wanted >= total) return found;
        }
        return [];
      },
    };
  }
}
