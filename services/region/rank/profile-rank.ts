/** Implementation of ranking: every profile as a scorer, the top items found by `top-k.ts`. */
import { assert } from '../../../shared/kernel/kernel.ts';
import type { Steps } from '../../../shared/kernel/steps.ts';
import { invalid } from '../query/query.ts';
import type { Schema } from '../schema/schema.ts';
import { windows } from '../schema/schema.ts';
import type { Scored, ScorePart, TieOf } from '../scored/scored.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';
import type { Doubt, Ledger, LedgerView } from '../state/ledger/ledger.ts';
import { compileProfile } from './custom-profile.ts';
import { formulas, profileScorer, type ScoredProfile } from './profiles.ts';
import {
  type ItemRanking,
  type ItemScores,
  profiles,
  type Rank,
  type RankingQuery,
  type ReadTime,
  type SignalSummary,
} from './rank.ts';
import type { Scorer } from './scorer.ts';
import { SignalSums } from './signal-sums.ts';
import { SearchSlices } from './sliced.ts';
import { TopK } from './top-k.ts';

/** Highest tie of `Scored`. */
const TIE_LIMIT = 2 ** 48 - 1;
/** Items scored in one step. */
const SCORED_A_STEP = 256;

export interface RankParts {
  readonly schema: Schema;
  readonly entities: Entities;
  readonly catalog: Catalog;
  readonly ledger: Ledger;
  /** The read time if the client gives none, epoch ms. */
  readonly nowMs: () => number;
}

export function createRank(parts: RankParts): Rank {
  return new ProfileRank(parts);
}

/** The sums that scores are computed from: all events, or those of the past alone. */
interface Readings {
  readonly sums: SignalSums;
  readonly custom: ReadonlyMap<string, (atMs: number) => Scorer>;
}

class ProfileRank implements Rank {
  readonly profiles: readonly string[];
  private readonly parts: RankParts;
  private readonly everything: Readings;
  private readonly untilThen: Readings;
  private readonly topK: TopK;

  constructor(parts: RankParts) {
    this.parts = parts;
    this.everything = readingsOf(parts, parts.ledger);
    this.untilThen = readingsOf(parts, parts.ledger.past);
    const { upperBounds, changes, past: pastLedger } = parts.ledger;
    this.topK = new TopK({ ...parts, upperBounds, changes, pastLedger });
    this.profiles = [...profiles, ...parts.schema.profiles.keys()];
  }

  ranking(
    query: RankingQuery,
    selected: Selection | undefined,
    readTime: ReadTime,
    slices?: SearchSlices,
    name = '',
  ): ItemRanking {
    assert(query.profile !== 'related', 'what is related is found by search');
    const all = selected?.count === this.parts.catalog.size;
    const scorer = this.scorer(query, readTime);
    return this.topK.ranking(scorer, all ? undefined : selected, { ...readTime, slices, name });
  }

  *scoring(query: RankingQuery, ordinals: Int32Array, readTime: ReadTime): Steps<ItemScores> {
    const { catalog, entities, ledger } = this.parts;
    const scorer = this.scorer(query, readTime);
    const scores = new Float64Array(ordinals.length);
    let doubt: Doubt | undefined;
    for (let from = 0; from < ordinals.length; from += SCORED_A_STEP) {
      const score = (): void => {
        const end = Math.min(ordinals.length, from + SCORED_A_STEP);
        for (let at = from; at < end; at++) {
          const ordinal = ordinals[at]!;
          const createdMs = catalog.createdMs(ordinal);
          scores[at] = createdMs < 0 ? Number.NEGATIVE_INFINITY : scorer.score(entities.entity(ordinal), createdMs);
        }
      };
      if (readTime.past) ({ doubt } = ledger.past.watch(score, doubt));
      else score();
      if (from + SCORED_A_STEP < ordinals.length) yield;
    }
    return { scores, settle: () => doubt !== undefined && ledger.past.include(doubt) };
  }

  popularity({ atMs, past }: ReadTime): TieOf {
    const { sums } = past ? this.untilThen : this.everything;
    return (entity) => {
      const net = sums.positive(entity, 'all', atMs) - sums.negative(entity, 'all', atMs);
      return Math.min(TIE_LIMIT, Math.max(0, Math.round(net * 1_000)));
    };
  }

  slices(over: () => boolean): SearchSlices {
    return new SearchSlices(over);
  }

  explain(query: RankingQuery, { entity }: Scored, readTime: ReadTime): readonly ScorePart[] {
    const { catalog, entities } = this.parts;
    return this.scorer(query, readTime).explain(entity, catalog.createdMs(entities.find(entity)));
  }

  past<T>(askedMs: number, answer: (readTime: ReadTime) => T): T {
    const { past } = this.parts.ledger;
    const run = (atMs: number) => past.watch(() => answer({ atMs, past: true }));
    const asked = run(askedMs);
    const { withinMs, knownSince } = asked.doubt;
    const whole = withinMs === 0 || knownSince.size > 0;
    const { value, doubt } = whole ? asked : run(Math.floor(askedMs / withinMs) * withinMs - 1);
    if (doubt.knownSince.size === 0) return value;
    const since = new Date(Math.max(...doubt.knownSince.values())).toISOString();
    throw invalid(
      'at',
      `is too far back: ${[...doubt.knownSince.keys()].join(' and ')} of a moment before ${since} is not known any more`,
      'newer events have been counted since; ask for a later moment, or leave at out',
    );
  }

  summary(entity: number, { atMs, past }: ReadTime, whole = false): SignalSummary {
    const ledger = past ? this.parts.ledger.past : this.parts.ledger;
    const summary: Record<string, Record<string, number | null>> = {};
    for (const { name, windows: shown } of this.parts.schema.signals.values()) {
      const reading = ledger.read(entity, name, atMs);
      // A pair of which every event was taken back is as one without events.
      if (reading === undefined || reading.count === 0) continue;
      const shownSums = windows
        .filter((window) => shown.includes(window))
        .map((window) => [window, whole ? ledger.sum(entity, name, window, atMs) : (reading.sums[window] ?? null)]);
      summary[name] = {
        ...Object.fromEntries(shownSums),
        decayed: whole ? ledger.decayed(entity, name, atMs) : (reading.decayed ?? null),
      };
    }
    return summary;
  }

  private scorer({ profile, window, seed }: RankingQuery, { atMs, past }: ReadTime): Scorer {
    const { sums, custom } = past ? this.untilThen : this.everything;
    const compiled = custom.get(profile);
    if (compiled !== undefined) return compiled(atMs);
    assert(Object.hasOwn(formulas, profile), 'the parser refuses unknown profiles', () => profile);
    return profileScorer(profile as ScoredProfile, sums, { window, seed, atMs });
  }
}

function readingsOf({ schema, catalog }: RankParts, ledger: LedgerView): Readings {
  return {
    sums: new SignalSums({ schema, ledger }),
    custom: new Map(
      [...schema.profiles].map(([name, profile]) => [name, compileProfile(profile, { schema, catalog, ledger })]),
    ),
  };
}
