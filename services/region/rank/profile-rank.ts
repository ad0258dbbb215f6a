/** Ranking behind its contract: every profile as a scorer, the best found by `top-k.ts`. */
import { assert } from '../../../shared/kernel/kernel.ts';
import type { Ranking, ScorePart } from '../../../shared/kernel/ranking.ts';
import type { Scored } from '../../../shared/kernel/top-scores.ts';
import type { Schema } from '../../../shared/schema/schema.ts';
import { windows } from '../../../shared/schema/schema.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { Selection } from '../state/facets/facets.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import { compileProfile } from './custom-profile.ts';
import { explainers } from './explain-profiles.ts';
import { formulas, profileScorer, type ScoredProfile } from './profiles.ts';
import { profiles, type Rank, type RankingQuery, type SignalSummary } from './rank.ts';
import type { Scorer } from './scorer.ts';
import { SignalSums } from './signal-sums.ts';
import { TopK } from './top-k.ts';

export interface RankParts {
  readonly schema: Schema;
  readonly entities: Entities;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
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
    assert(query.profile !== 'related', 'what is related is found by search');
    const all = selected?.count === this.parts.catalog.size;
    return this.topK.ranking(this.scorer(query, atMs), all ? undefined : selected, atMs);
  }

  explain(query: RankingQuery, { entity }: Scored, atMs: number): readonly ScorePart[] {
    const { catalog, entities } = this.parts;
    return this.scorer(query, atMs).explain(entity, catalog.createdMs(entities.find(entity)));
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
    const known = profile as ScoredProfile;
    const moment = { window, seed, atMs };
    return {
      ...profileScorer(known, this.sums, moment),
      explain: (entity, createdMs) => explainers[known](this.sums, moment, { entity, createdMs }),
    };
  }
}
