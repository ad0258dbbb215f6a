/** State: what the log says, in memory, recovered from the disk; and `apply`, the only way by which it changes. */

import type { Stages } from '../../../shared/kernel/parts.ts';
import { createApplier } from '../apply/applier.ts';
import type { Apply } from '../apply/apply.ts';
import type { Rebuild } from '../rebuild/rebuild.ts';
import { type Recovered, type RecoverOptions, recover } from '../recover/recover.ts';
import type { RegionOptions } from '../region-options.ts';
import { decayedSignals } from '../schema/schema.ts';
import type { CatalogWriter } from '../state/catalog/catalog.ts';
import { createRegisters } from '../state/catalog/registers.ts';
import { createDigestCounts, type DigestCounts } from '../state/digest/digest-counts.ts';
import { Entities } from '../state/entities/entities.ts';
import type { Ledger } from '../state/ledger/ledger.ts';
import { createLedger } from '../state/ledger/signal-ledger.ts';
import type { VectorChanges } from '../state/vectors/vectors.ts';
import type { Wal } from '../wal/wal.ts';

/** What finds items by what they hold. */
export type Indexes = Pick<RecoverOptions, 'filterIndex' | 'text'> & { readonly vectors: VectorChanges };

export interface StateOptions<I extends Indexes>
  extends Pick<RegionOptions, 'clock' | 'log' | 'metrics' | 'turns' | 'nextTurn' | 'schema'> {
  readonly wal: Wal;
  readonly openIndexes: (numbered: { readonly entities: Entities; readonly catalog: CatalogWriter }) => I;
  /** Builds filter index and text index of many items; absent: they get them one by one. */
  readonly rebuild?: Rebuild | undefined;
}

export interface State<I extends Indexes = Indexes> {
  readonly entities: Entities;
  readonly catalog: CatalogWriter;
  readonly ledger: Ledger;
  readonly indexes: I;
  readonly recovered: Recovered;
  readonly apply: Apply;
  readonly digestCounts: DigestCounts;
  readonly stages: Stages;
}

/** Throws as `recover` does. */
export function assembleState<I extends Indexes>(options: StateOptions<I>): State<I> {
  const { clock, log, metrics, turns, wal, schema, openIndexes, rebuild, nextTurn } = options;
  const entities = new Entities();
  const catalog = createRegisters({ entities, metrics });
  const ledger = createLedger({
    ...{ schema, entities, metrics },
    createdMs: (ordinal) => catalog.createdMs(ordinal),
    decayed: decayedSignals(schema.profiles.values()),
  });
  const indexes = openIndexes({ entities, catalog });
  const recovered = recover({ clock, log, metrics, turns, nextTurn, wal, catalog, ledger, ...indexes, rebuild });
  metrics.gauge({
    name: 'tidal_items_indexed',
    help: 'Live items that filters and search know.',
    read: () => (recovered.indexing.complete ? catalog.size : recovered.indexing.indexed),
  });
  const apply = createApplier({
    ...{ clock, metrics, turns, nextTurn, catalog, ledger, vectors: indexes.vectors },
    ...recovered,
    copies: (id) => wal.copies(id),
  });
  const digestCounts = createDigestCounts({
    clock,
    turns,
    nextTurn: options.nextTurn,
    catalog,
    ledger,
    position: () => apply.applied,
  });
  apply.onApplying((batch) => digestCounts.applying(batch));
  apply.onApplied(() => digestCounts.applied());
  const stages = [[recovered.indexing], [digestCounts]];
  return { entities, catalog, ledger, indexes, recovered, apply, digestCounts, stages };
}
