/** The path of a write in one region, from intake to the ledger, on a given store: it leads, and nothing is shipped. */

import { createApplier } from '../../services/region/apply/applier.ts';
import { createGroupCommit } from '../../services/region/intake/group-commit.ts';
import type { Intake } from '../../services/region/intake/intake.ts';
import { recover } from '../../services/region/recover/recover.ts';
import { createRegisters } from '../../services/region/state/catalog/registers.ts';
import { createLedger } from '../../services/region/state/ledger/signal-ledger.ts';
import type { Store } from '../../services/region/store/store.ts';
import { openLog } from '../../services/region/wal/log.ts';
import type { Wal } from '../../services/region/wal/wal.ts';
import { systemClock, systemRandom } from '../../shared/kernel/system.ts';
import { unreadMetrics } from '../harness/observe/counted-metrics.ts';
import { silentLog } from '../harness/observe/silent-log.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { noIndex } from '../harness/region/state/told-index.ts';

const schema = schemaOf(['view', 'positive', 3_600]);

export interface BenchRegion {
  readonly store: Store;
  readonly wal: Wal;
  readonly intake: Intake;
}

/** Recovers what the store has. */
export function openBenchRegion(store: Store): BenchRegion {
  const wal = openLog({ store });
  const catalog = createRegisters();
  const ledger = createLedger({ schema });
  const parts = { clock: systemClock, log: silentLog, wal, catalog, ledger, filterIndex: noIndex, text: noIndex };
  const apply = createApplier({
    metrics: unreadMetrics,
    ...parts,
    ...recover(parts),
    vectors: { changed() {}, touched() {} },
    copies: (id) => wal.copies(id),
  });
  const intake = createGroupCommit({
    metrics: unreadMetrics,
    ...{ clock: systemClock, random: systemRandom, log: silentLog, region: 'us-east', schema, wal, apply },
    items: catalog,
    ship: {
      ...{ healthy: true, unshipped: 0, start() {}, notify() {}, acknowledged: () => Number.MAX_SAFE_INTEGER },
      ...{ confirmed: async () => true, setEnabled: async () => {}, stop: async () => {} },
    },
    gate: (epoch) => ({ epoch }),
    queueLimit: 1_000_000,
    queueLimitBytes: 1e9,
    onFatal: (error) => {
      throw error;
    },
  });
  return { store, wal, intake };
}
