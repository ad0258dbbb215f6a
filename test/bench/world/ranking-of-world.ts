/** The ledger and the items of the realistic world (`world.ts`) without a store: for what is measured in one process. */
import { compileProfile } from '../../../services/region/rank/custom-profile.ts';
import { profileScorer, type ScoredProfile } from '../../../services/region/rank/profiles.ts';
import { SignalSums } from '../../../services/region/rank/signal-sums.ts';
import { TopK, type TopKScorer } from '../../../services/region/rank/top-k.ts';
import { loadSchema } from '../../../services/region/schema/parse-schema.ts';
import type { Schema, Window } from '../../../services/region/schema/schema.ts';
import { Entities } from '../../../services/region/state/entities/entities.ts';
import type { Ledger } from '../../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../../services/region/state/ledger/signal-ledger.ts';
import { Traffic } from './traffic.ts';
import { EXPONENT, ITEMS_SPAN_MS, oldItems, SEED, SIGNALS_SPAN_MS, type WorldSize, writeWorldSchema } from './world.ts';

export class RankingOfWorld {
  readonly entities = new Entities();
  readonly schema: Schema;
  readonly ledger: Ledger;
  readonly topK: TopK;
  readonly items: number;
  private readonly sums: SignalSums;
  private readonly created: Float64Array;
  private readonly traffic: Traffic;

  constructor({ items, signals }: WorldSize, endMs: number, directory: string) {
    this.items = items;
    this.schema = loadSchema(writeWorldSchema(directory));
    this.created = new Float64Array(items).fill(-1);
    const createdMs = (ordinal: number): number => this.created[ordinal] ?? -1;
    const decayed = new Set(['like']);
    this.ledger = createLedger({ schema: this.schema, entities: this.entities, createdMs, decayed });
    this.traffic = new Traffic({ seed: SEED, items, exponent: EXPONENT });
    this.sums = new SignalSums({ schema: this.schema, ledger: this.ledger });
    const { upperBounds, changes, past: pastLedger } = this.ledger;
    const catalog = { size: items, createdMs };
    this.topK = new TopK({ entities: this.entities, catalog, upperBounds, nowMs: () => endMs, changes, pastLedger });
    const old = oldItems({ items });
    const startMs = endMs - SIGNALS_SPAN_MS;
    let present = 0;
    const put = (): void => {
      const ms = endMs - ITEMS_SPAN_MS + Math.floor((ITEMS_SPAN_MS * present) / items);
      this.created[this.entities.ordinal(++present)] = ms;
      this.ledger.upperBounds.put(present);
    };
    while (present < old) put();
    for (let signal = 0; signal < signals; signal++) {
      while (present < old + ((items - old) * signal) / signals) put();
      this.signal(startMs + Math.floor((SIGNALS_SPAN_MS * signal) / signals), present);
    }
    while (present < items) put();
  }

  /** One more signal. */
  signal(timeMs: number, upTo = this.items): void {
    const event = this.traffic.signal(timeMs, 0, upTo);
    if (event.kind === 'signal') this.ledger.add(event.entity, event.signal, event.weight, timeMs);
  }

  scorer(profile: string, atMs: number, window: Window, seed = ''): TopKScorer {
    const definition = this.schema.profiles.get(profile);
    if (definition === undefined) return profileScorer(profile as ScoredProfile, this.sums, { window, seed, atMs });
    const catalog = { item: () => undefined };
    return compileProfile(definition, { schema: this.schema, ledger: this.ledger, catalog })(atMs);
  }

  createdMs(ordinal: number): number {
    return this.created[ordinal]!;
  }
}
