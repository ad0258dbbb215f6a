/**
 * One region without indexes and HTTP: state and replication assembled as `region.ts` assembles them, on a store, a stream and a
 * clock of the test's.
 */
import type { Apply } from '../../../services/region/apply/apply.ts';
import type { Disks, Sweep } from '../../../services/region/checkpoint/checkpoint.ts';
import { createDiskAccount } from '../../../services/region/checkpoint/disk-account.ts';
import { createKeySweep } from '../../../services/region/checkpoint/key-sweep.ts';
import type { ClientKeys } from '../../../services/region/intake/client-keys.ts';
import type { Intake, IntakeRequest, StateLimits } from '../../../services/region/intake/intake.ts';
import { noStateLimits, StateLimit } from '../../../services/region/intake/state-limit.ts';
import type { Role } from '../../../services/region/leadership/leadership.ts';
import type { PartitionSwitch } from '../../../services/region/partition/partition.ts';
import type { PeerLink, Peers } from '../../../services/region/peers/peers.ts';
import type { Readiness } from '../../../services/region/readiness/readiness.ts';
import type { Gap, Ingest, Receiver, Stopped } from '../../../services/region/receive/receive.ts';
import type { Recovered } from '../../../services/region/recover/recover.ts';
import type { Repair } from '../../../services/region/repair/repair.ts';
import type { Schema } from '../../../services/region/schema/schema.ts';
import type { Ship } from '../../../services/region/ship/ship.ts';
import type { CatalogWriter } from '../../../services/region/state/catalog/catalog.ts';
import type { DigestCounts } from '../../../services/region/state/digest/digest-counts.ts';
import { digestOf } from '../../../services/region/state/digest/value-hash.ts';
import { createFilterIndex } from '../../../services/region/state/filter-index/bitmap-filter-index.ts';
import type { Ledger } from '../../../services/region/state/ledger/ledger.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { createKeyLimit } from '../../../services/region/wal/storage-limit.ts';
import type { Wal } from '../../../services/region/wal/wal.ts';
import { assembleReplication } from '../../../services/region/wiring/replication.ts';
import { assembleState, type Indexes, type StateOptions } from '../../../services/region/wiring/state.ts';
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import { randomName } from '../../../shared/kernel/kernel.ts';
import { type Stages, startParts, stopParts } from '../../../shared/kernel/parts.ts';
import { nextTurn } from '../../../shared/kernel/system.ts';
import type { EventBody } from '../../../shared/protocol/events.ts';
import { isRefused, type RegionStatus, type WritesReply } from '../../../shared/protocol/internal.ts';
import { DISK_ID_LENGTH } from '../../../shared/protocol/known-disks.ts';
import { formatPosition, type Position, totalOf } from '../../../shared/protocol/position.ts';
import { OWN_VERSION, type Version } from '../../../shared/protocol/version.ts';
import { readStatus } from '../../../shared/region-client/reported-status.ts';
import type { ManualClock } from '../kernel/manual-clock.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import { CountedMetrics } from '../observe/counted-metrics.ts';
import { silentLog } from '../observe/silent-log.ts';
import type { MemoryClient } from '../stream/memory-client.ts';
import type { MemoryBroker } from '../stream/memory-stream.ts';
import { schemaOf } from './rank/signals-schema.ts';
import { noIndex } from './state/told-index.ts';
import { MemoryStore } from './store/memory-store.ts';

export const testSchema = schemaOf(['view', 'positive', 3_600], ['skip', 'negative', 3_600]);

export interface CoreRegionOptions {
  readonly region: string;
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  readonly store?: MemoryStore;
  readonly schema?: Schema;
  /** As it states it; absent: that of this build. */
  readonly version?: Version;
  readonly seed?: number;
  readonly queueLimit?: number;
  readonly queueLimitBytes?: number;
  readonly keysLimit?: number;
  /** With a limit of keys: what the store may take. */
  readonly storeLimitBytes?: number;
  readonly clientKeys?: ClientKeys;
  readonly stateLimits?: StateLimits;
  /** Its disk has an id, and what is old enough of its idempotency keys is forgotten. */
  readonly forgetsKeys?: boolean;
  /** Its messages carry a MAC, and others must. */
  readonly internalKeys?: InternalKeys;
}

let seeds = 1;

export class CoreRegion {
  readonly region: string;
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly client: MemoryClient;
  readonly wal: Wal;
  readonly catalog: CatalogWriter;
  readonly ledger: Ledger;
  readonly apply: Apply;
  readonly ship: Ship;
  readonly ingest: Ingest;
  readonly receiver: Receiver;
  readonly peers: Peers;
  readonly repair: Repair;
  readonly role: Role;
  readonly intake: Intake;
  readonly readiness: Readiness;
  readonly drill: PartitionSwitch;
  readonly digestCounts: DigestCounts;
  readonly disks: Disks | undefined;
  private readonly keySweep: Sweep | undefined;
  private readonly stages: Stages;
  /** The argument of `onFatal`: the process would have ended. */
  readonly fatal: unknown[] = [];
  readonly stopped: Stopped[] = [];
  readonly metrics = new CountedMetrics();
  readonly gaps: Gap[] = [];
  /** As recovery left it. */
  readonly recovered: Recovered;
  /** This region is unreachable. */
  down = false;
  /** Refuses to accept, where set. */
  writeBlocker: Refusal | undefined;
  /** Clock offset this region reports, ms. */
  clockOffsetMs = 0;
  /** What the log serves instead of its batches. */
  serve: ((origin: string, from: number) => Uint8Array | Promise<Uint8Array>) | undefined;
  readonly options: CoreRegionOptions;
  private readonly known: CoreRegion[] = [];

  /** `others` are the topology's other regions: they may be reached once `meet` has named them. */
  constructor(options: CoreRegionOptions, others: readonly string[] = []) {
    const { region, clock, broker, schema = testSchema } = options;
    this.options = options;
    this.region = region;
    this.clock = clock;
    this.store = options.store ?? new MemoryStore();
    this.client = broker.connect(region);
    this.wal = openLog({ store: this.store });
    const startedEmpty = totalOf(this.wal.durable) === 0;
    const log = silentLog;
    const onFatal = (error: unknown): void => void this.fatal.push(error);
    const { wal, metrics } = this;
    const { stream, control } = this.client;
    const state = assembleState({ clock, log, metrics, wal, schema, openIndexes: filterIndexAlone });
    ({
      catalog: this.catalog,
      ledger: this.ledger,
      apply: this.apply,
      digestCounts: this.digestCounts,
      recovered: this.recovered,
    } = state);
    const { apply } = this;
    const links = others.map((name) => this.linkTo(name));
    const random = seededRandom(options.seed ?? seeds++ * 7_919);
    const { keysLimit: limit, storeLimitBytes = 1e12 } = options;
    const replication = assembleReplication({
      ...{ region, clock, nextTurn, random, log, metrics, schema, wal, apply, stream, control, links },
      ...{ startedEmpty, onFatal, internalKeys: options.internalKeys, items: state.catalog },
      members: ['us-east', 'eu-west', 'ap-south'],
      regions: ['us-east', 'eu-west', 'ap-south', region, ...others],
      writeBlocker: () => this.writeBlocker,
      keyRefusal:
        limit === undefined ? undefined : createKeyLimit({ clock, wal, region, limit, storeLimitBytes, metrics }),
      clientKeys: options.clientKeys,
      stateLimit: new StateLimit({
        ...{ clock, region, metrics, ...state, filterIndex: state.indexes.filterIndex },
        indexQueue: state.recovered.indexQueue,
        limits: options.stateLimits ?? noStateLimits,
      }),
      intakeQueueLimit: options.queueLimit ?? 10_000,
      intakeQueueBytes: options.queueLimitBytes ?? 64 * 1024 * 1024,
      onGap: (gap) => void this.gaps.push(gap),
      onStopped: (why) => void this.stopped.push(why),
    });
    ({
      peers: this.peers,
      readiness: this.readiness,
      partition: this.drill,
      role: this.role,
      ship: this.ship,
      ingest: this.ingest,
      repair: this.repair,
      receiver: this.receiver,
      intake: this.intake,
    } = replication);
    if (options.forgetsKeys === true) {
      if (wal.mark('disk') === undefined) wal.noteMark('disk', randomName(random, DISK_ID_LENGTH));
      const applied = (): Position => apply.applied;
      this.disks = createDiskAccount({
        ...{ clock, random, log, metrics, region, wal, others, applied },
        peers: this.peers,
      });
      this.keySweep = createKeySweep({
        ...{ clock, log, metrics, wal, onFatal, disks: this.disks, checkpointPosition: applied },
      });
    }
    this.stages = [...state.stages, this.keySweep === undefined ? [] : [this.keySweep], ...replication.stages];
  }

  meet(...others: readonly CoreRegion[]): void {
    this.known.push(...others);
  }

  start(): this {
    startParts(this.stages);
    if (this.keySweep !== undefined) void this.wal.flushNotes();
    return this;
  }

  setCut(cut: boolean, healAfterMs?: number): Promise<void> {
    return this.drill.set(cut, healAfterMs);
  }

  get cut(): boolean {
    return this.drill.partitioned;
  }

  /** Ends the process in an orderly way, without closing the store. */
  async stop(): Promise<void> {
    this.down = true;
    await stopParts(this.stages);
    await this.client.close();
  }

  /** Pulls the plug; answers the region as it starts again from its disk. */
  crash(unflushed: 'lost' | 'kept' = 'lost', options: Partial<CoreRegionOptions> = {}): CoreRegion {
    this.down = true;
    void this.client.close();
    const store = this.store.crash(unflushed);
    void stopParts(this.stages);
    return new CoreRegion({ ...this.options, seed: seeds++ * 7_919, ...options, store }, [...this.linked]);
  }

  write(bodies: IntakeRequest['bodies'], options: Partial<Omit<IntakeRequest, 'bodies'>> = {}) {
    const { atomic = false, durability = 'local', epoch = this.role.leadership?.epoch ?? 1, clients } = options;
    return this.intake.submit({ epoch, atomic, durability, bodies, clients });
  }

  /** Why batches were refused. */
  get refused(): string[] {
    return this.metrics.labels('tidal_refused_batches_total');
  }

  get subscriptions(): number {
    return this.metrics.total('tidal_stream_subscriptions_total');
  }

  /** Readings of leadership records that it refused. */
  get refusals(): number {
    return this.metrics.total('tidal_control_values_refused_total');
  }

  get durable(): string {
    return formatPosition(this.wal.durable);
  }

  get applied(): string {
    return formatPosition(this.apply.applied);
  }

  digest(): string {
    return digestOf(this.catalog, this.ledger);
  }

  status(): RegionStatus {
    const { remembered: leadership, leads } = this.role;
    return {
      region: this.region,
      role: leads ? 'leader' : 'follower',
      ready: this.readiness.ready,
      ...(leadership === undefined ? {} : { leadership }),
      partitioned: this.cut,
      ...(this.drill.healAtMs === undefined ? {} : { healAtMs: this.drill.healAtMs }),
      durable: this.durable,
      applied: this.applied,
      offset: this.wal.offset?.sequence ?? 0,
      streamConnected: this.client.stream.connected,
      unshipped: this.ship.unshipped ?? null,
      items: this.catalog.size,
      clockMs: this.clock.nowMs() + this.clockOffsetMs,
      newestMs: this.apply.newestMs,
      ...(this.ingest.refused === undefined ? {} : { refused: this.ingest.refused }),
      ...(this.disks?.own === undefined ? {} : { disk: this.disks.own }),
      ...(this.disks === undefined ? {} : { disks: this.disks.known }),
      version: this.options.version ?? OWN_VERSION,
      schemaHash: (this.options.schema ?? testSchema).hash,
      signals: [...(this.options.schema ?? testSchema).signals.keys()],
    };
  }

  private readonly linked: string[] = [];

  private linkTo(region: string): PeerLink {
    this.linked.push(region);
    const peer = (): CoreRegion => {
      const found = this.known.findLast((other) => other.region === region);
      if (found === undefined || found.down) throw new Fault('no_answer', `${region} does not answer`);
      return found;
    };
    return {
      region,
      status: async () => readStatus(region, peer().status()),
      log: async (origin, from) => {
        const { cut, serve, wal } = peer();
        if (cut || this.cut) throw new Refusal('region_unreachable', `${region} is partitioned`);
        return serve?.(origin, from) ?? Buffer.concat(wal.read(origin, from, 768 * 1024));
      },
      ...noSnapshots(region),
    };
  }
}

/** The part of a link to a peer that serves no snapshot. */
export function noSnapshots(region: string): Pick<PeerLink, 'snapshot' | 'snapshotPart'> {
  const refuse = async (): Promise<never> => {
    throw new Refusal('region_unreachable', `${region} serves no snapshot`);
  };
  return { snapshot: refuse, snapshotPart: refuse };
}

function filterIndexAlone({ entities, catalog }: Parameters<StateOptions<Indexes>['openIndexes']>[0]) {
  return {
    filterIndex: createFilterIndex({ entities, metadataOf: (ordinal) => catalog.indexedMetadata(ordinal) }),
    text: noIndex,
    vectors: { changed() {}, touched() {} },
  };
}

export function view(entity: number, weight = 1_000): EventBody {
  return { kind: 'signal', entity, signal: 'view', weight, timeMs: undefined };
}

/** Takes back a signal under the same key. */
export function retraction(body: EventBody): EventBody {
  if (body.kind !== 'signal') throw new Error('only signals are taken back');
  return { ...body, kind: 'retraction' };
}

export function views(count: number, entity = 1): EventBody[] {
  return Array.from({ length: count }, () => view(entity));
}

export function item(entity: number, title: string): EventBody {
  return { kind: 'item', entity, metadata: { title } };
}

/** `durability` of every write, or the code of its refusal. */
export function outcomes(reply: WritesReply): string[] {
  return reply.results.map((result) => (isRefused(result) ? result.problem.code : result.durability));
}

/** The sequence of every accepted write. */
export function sequences(reply: WritesReply): number[] {
  return reply.results.map((result) => (isRefused(result) ? 0 : Number(result.position.split(':')[1])));
}
