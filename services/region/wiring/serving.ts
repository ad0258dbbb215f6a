/** Serving: ranking, search and the HTTP surface, over state and replication. */

import type Koa from 'koa';
import { BodyBudget } from '../../../shared/http/body-budget.ts';
import { nextTurnOf } from '../../../shared/kernel/kernel.ts';
import type { RegionStatus } from '../../../shared/protocol/internal.ts';
import { formatPosition } from '../../../shared/protocol/position.ts';
import { createCurations } from '../curation/curation.ts';
import { createRegionApp } from '../http/app.ts';
import { addCommandRoutes } from '../http/command-routes.ts';
import { fieldsReader } from '../http/internal-body.ts';
import { createInternalGate } from '../http/internal-gate.ts';
import { addInternalRoutes } from '../http/internal-routes.ts';
import { addLogRoutes } from '../http/log-routes.ts';
import { addReadRoutes } from '../http/reads/reads.ts';
import { addSnapshotRoutes } from '../http/snapshot-routes.ts';
import type { StepDown } from '../leadership/step-down.ts';
import { createCursors } from '../pages/signed-cursors.ts';
import { createRank } from '../rank/profile-rank.ts';
import { ReadQueue } from '../read-queue/read-queue.ts';
import { drain } from '../receive/drain.ts';
import { setAside } from '../recover/unappliable.ts';
import type { RegionOptions } from '../region-options.ts';
import { lagBehindLeader } from '../region-status.ts';
import { createSearch } from '../search/fused-search.ts';
import type { FilterIndex } from '../state/filter-index/filter-index.ts';
import type { TextIndex } from '../state/text/text.ts';
import type { Vectors } from '../state/vectors/vectors.ts';
import type { Wal } from '../wal/wal.ts';
import type { Replication } from './replication.ts';
import type { Indexes, State } from './state.ts';
import type { Upkeep } from './upkeep.ts';

/** Reads never answer for a time further ahead of the own clock than this, ms. */
const READ_AHEAD_MS = 5 * 60_000;

export interface SearchIndexes extends Indexes {
  readonly filterIndex: Indexes['filterIndex'] & FilterIndex;
  readonly text: Indexes['text'] & TextIndex;
  readonly vectors: Vectors;
}

export interface ServingOptions
  extends Pick<
    RegionOptions,
    | ('region' | 'clock' | 'random' | 'log' | 'metrics' | 'turns' | 'schema' | 'stream')
    | ('maxBodyBytes' | 'maxBodiesBytes' | 'httpLimits' | 'cursorSecret' | 'internalKeys' | 'nextTurn')
  > {
  readonly wal: Wal;
  readonly state: State<SearchIndexes>;
  readonly replication: Replication;
  readonly upkeep: Upkeep;
  readonly stepDown: StepDown;
  readonly status: () => RegionStatus;
}

export function assembleServing(options: ServingOptions): Koa {
  const { region, clock, random, log, metrics, schema, wal, stream, stepDown, status, maxBodyBytes } = options;
  const { entities, catalog, ledger, apply, digestCounts, recovered, indexes } = options.state;
  const { filterIndex, text, vectors } = indexes;
  const { peers, readiness, clockCheck, partition, role, ingest, repair, receiver, intake } = options.replication;
  const { disks, snapshots } = options.upkeep;

  const nowMs = (): number => {
    const now = clock.nowMs();
    return Math.min(Math.max(now, apply.newestMs), now + READ_AHEAD_MS);
  };
  const rank = createRank({ schema, entities, catalog, ledger, nowMs });
  const search = createSearch({
    ...{ dimensions: schema.embedding.dimensions, catalog, filterIndex, text, vectors },
    changes: ledger.changes,
  });
  const cursors = createCursors({ secrets: cursorSecrets(options), schemaHash: schema.hash });
  const { lagEvents } = lagBehindLeader({ role, peers, apply, metrics });
  const bodies = new BodyBudget({ limitBytes: options.maxBodiesBytes, metrics });
  const { turns } = options;
  const fields = fieldsReader(maxBodyBytes, turns);
  const reads = new ReadQueue({
    ...{ clock, metrics, turns, region },
    nextTurn: options.nextTurn ?? nextTurnOf(clock),
  });
  const ready = (): boolean => readiness.ready;

  return createRegionApp({
    ...{ log, metrics, clock, random, limits: options.httpLimits, region, ready },
    admit: createInternalGate({ internalKeys: options.internalKeys, clock, log, metrics }),
    draining: () => stepDown.draining,
    addRoutes(router) {
      const internal = {
        ...{ intake, role, apply, wal, bodies, status },
        drain: (limitMs: number) => drain({ clock, stream, receiver }, limitMs),
        onRouterClock: (heard: Parameters<typeof clockCheck.heard>[0]) => clockCheck.heard(heard),
      };
      addInternalRoutes(router, internal, fields);
      const commands = {
        ...{ region, status },
        setPartitioned: (partitioned: boolean, healAfterMs: number | undefined) =>
          partition.set(partitioned, healAfterMs),
        retireDisk: (id: string) => disks.retire(id),
        async setAside(range: Parameters<typeof setAside>[1]) {
          await setAside(wal, range, apply.applied);
          // Batches that were refused for this reason may be acceptable now.
          ingest.release(range.origin);
          repair.nudge();
        },
      };
      addCommandRoutes(router, commands, fields);
      addLogRoutes(
        router,
        {
          ...{ region, wal },
          partitioned: () => partition.partitioned,
          digest: async () => ({ region, ...(await digestCounts.count()) }),
          countDigest: (request) => ({
            ...{ region, schemaHash: schema.hash, quarantined: wal.quarantine.text },
            applied: formatPosition(apply.applied),
            ...digestCounts.request(request),
          }),
        },
        fields,
      );
      addSnapshotRoutes(router, { snapshots, maxBodyBytes });
      addReadRoutes(router, {
        ...{ region, apply, entities, catalog, rank, search, filterIndex, text, cursors, bodies, maxBodyBytes, reads },
        textFields: schema.textFields.map(({ name }) => name),
        curations: createCurations(schema.curations ?? [], (query) => text.keyOf(query)),
        ...{ lagEvents, ready, nowMs, turns, indexing: recovered.indexing, indexQueue: recovered.indexQueue },
      });
    },
  });
}

/** The operator's secret, else those that the internal secrets give, else the public default. */
function cursorSecrets({ cursorSecret = '', internalKeys }: ServingOptions): () => readonly string[] {
  if (cursorSecret !== '' || internalKeys === undefined || internalKeys.count === 0) return () => [cursorSecret];
  return () => internalKeys.derivedTexts('cursors');
}
