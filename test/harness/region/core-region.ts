/**
 * One region's write path - log, intake, apply, ship, receive, repair, role - joined as `region.ts` joins it, on a store,
 * a stream and a clock of the test's. What indexes would do is left out: `rooms` above the catalog only read.
 */

import { type ApplierOptions, createApplier } from '../../../services/region/apply/applier.ts';
import type { Apply } from '../../../services/region/apply/apply.ts';
import type { Disks, Sweep } from '../../../services/region/checkpoint/checkpoint.ts';
import { createDiskAccount } from '../../../services/region/checkpoint/disk-account.ts';
import { createKeySweep } from '../../../services/region/checkpoint/key-sweep.ts';
import { createGroupCommit } from '../../../services/region/intake/group-commit.ts';
import type { Intake, IntakeRequest } from '../../../services/region/intake/intake.ts';
import type { Role } from '../../../services/region/leadership/leadership.ts';
import { createLeadershipRole } from '../../../services/region/leadership/leadership-role.ts';
import { createPartitionSwitch, type PartitionSwitch } from '../../../services/region/partition/partition.ts';
import type { PeerLink, Peers } from '../../../services/region/peers/peers.ts';
import { createReadiness, type Readiness } from '../../../services/region/readiness/readiness.ts';
import { createIngest } from '../../../services/region/receive/ingest.ts';
import type { Gap, Ingest, Receiver, Stopped } from '../../../services/region/receive/receive.ts';
import { createStreamReceiver } from '../../../services/region/receive/stream-receiver.ts';
import { type Recovered, type RecoverOptions, recover } from '../../../services/region/recover/recover.ts';
import { createPeerRepair } from '../../../services/region/repair/peer-repair.ts';
import type { Repair } from '../../../services/region/repair/repair.ts';
import type { Schema } from '../../../services/region/schema/schema.ts';
import type { Ship } from '../../../services/region/ship/ship.ts';
import { createShipper } from '../../../services/region/ship/shipper.ts';
import type { CatalogWriter } from '../../../services/region/state/catalog/catalog.ts';
import { createRegisters } from '../../../services/region/state/catalog/registers.ts';
import { digestOf } from '../../../services/region/state/digest.ts';
import { createKeptDigest, type KeptDigest } from '../../../services/region/state/kept-digest.ts';
import type { Ledger } from '../../../services/region/state/ledger/ledger.ts';
import { createLedger } from '../../../services/region/state/ledger/signal-ledger.ts';
import { openLog } from '../../../services/region/wal/log.ts';
import { createKeyLimit } from '../../../services/region/wal/storage-limit.ts';
import type { Wal } from '../../../services/region/wal/wal.ts';
import { Fault, Refusal } from '../../../shared/errors/errors.ts';
import { randomName } from '../../../shared/kernel/kernel.ts';
import { silentLog } from '../../../shared/observe/log.ts';
import type { EventBody } from '../../../shared/protocol/events.ts';
import { type Durability, isRefused, type RegionStatus, type WritesReply } from '../../../shared/protocol/internal.ts';
import { DISK_ID_LENGTH } from '../../../shared/protocol/known-disks.ts';
import { formatPosition, sequenceOf, totalOf } from '../../../shared/protocol/position.ts';
import { readStatus } from '../../../shared/region-client/reported-status.ts';
import { StatusPoller } from '../../../shared/region-client/status-poller.ts';
import type { ManualClock } from '../kernel/manual-clock.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import type { MemoryClient } from '../stream/memory-client.ts';
import type { MemoryBroker } from '../stream/memory-stream.ts';
import { schemaOf } from './rank/signals-schema.ts';
import { MemoryStore } from './store/memory-store.ts';

export const testSchema = schemaOf(['view', 'positive', 3_600], ['skip', 'negative', 3_600]);

export interface CoreRegionOptions {
  readonly region: string;
  readonly clock: ManualClock;
  readonly broker: MemoryBroker;
  readonly store?: MemoryStore;
  readonly schema?: Schema;
  readonly seed?: number;
  readonly queueLimit?: number;
  readonly queueLimitBytes?: number;
  readonly keysLimit?: number;
  /** With a limit of keys: what the store may take. */
  readonly storeLimitBytes?: number;
  /** Its disk has an id, and what is old enough of its idempotency keys is forgotten. */
  readonly forgetsKeys?: boolean;
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
  readonly keptDigest: KeptDigest;
  readonly disks: Disks | undefined;
  private readonly keySweep: Sweep | undefined;
  /** What `onFatal` was told: the process would be gone. */
  readonly fatal: unknown[] = [];
  readonly stopped: Stopped[] = [];
  /** Why batches were refused. */
  readonly refused: string[] = [];
  readonly gaps: Gap[] = [];
  /** As recovery left it. */
  readonly recovered: Recovered;
  subscriptions = 0;
  /** Leadership records it refused to take for one. */
  refusals = 0;
  /** Nobody reaches this region any more. */
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
    this.catalog = createRegisters();
    this.ledger = createLedger({ schema });
    const indexes = noIndexes();
    const startedEmpty = totalOf(this.wal.durable) === 0;
    const log = silentLog;
    const onFatal = (error: unknown): void => void this.fatal.push(error);
    const { wal, catalog, ledger } = this;
    this.recovered = recover({ clock, log, wal, catalog, ledger, ...indexes });
    this.apply = createApplier({
      clock,
      catalog,
      ledger,
      ...indexes,
      ...this.recovered,
      copies: (id) => wal.copies(id),
      onApplied: (batch) => this.keptDigest.applied(batch),
    });
    this.keptDigest = createKeptDigest({ clock, catalog, ledger, position: () => this.apply.applied });
    this.drill = createPartitionSwitch({
      clock,
      log,
      wal,
      onSwitched: async (cut) => {
        this.repair.setEnabled(!cut);
        await Promise.all([this.ship.setEnabled(!cut), this.receiver.setEnabled(!cut)]);
        if (!cut) await this.peers.poll();
      },
      onFatal,
    });
    const enabled = !this.cut;
    const links = others.map((name) => this.linkTo(name));
    this.peers = new StatusPoller({ clock, clients: links, pace: 'rounds' });
    const { stream, control } = this.client;
    this.ship = createShipper({
      clock,
      log,
      region,
      wal,
      stream,
      enabled,
      startOf: (origin) => this.floorOf(origin),
    });
    const regions = ['us-east', 'eu-west', 'ap-south', region, ...others];
    this.ingest = createIngest({
      ...{ clock, log, wal, apply: this.apply, schema, regions },
      onStopped: (why) => this.stopped.push(why),
      onRefused: (reason) => this.refused.push(reason),
    });
    this.repair = createPeerRepair({
      region,
      clock,
      log,
      wal,
      ingest: this.ingest,
      peers: this.peers,
      links,
      enabled,
      onFatal,
    });
    this.receiver = createStreamReceiver({
      clock,
      log,
      stream,
      wal,
      ingest: this.ingest,
      regions,
      enabled,
      onGap: (gap) => {
        this.gaps.push(gap);
        this.repair.nudge();
      },
      onFatal,
      onSubscribed: () => {
        this.subscriptions++;
      },
    });
    this.readiness = createReadiness({
      log,
      peers: this.peers,
      startedEmpty,
      applied: () => this.apply.applied,
      onReady: () => {},
    });
    const random = seededRandom(options.seed ?? seeds++ * 7_919);
    if (options.forgetsKeys === true) {
      if (wal.mark('disk') === undefined) wal.noteMark('disk', randomName(random, DISK_ID_LENGTH));
      this.disks = createDiskAccount({
        ...{ clock, random, log, region, wal, others, peers: this.peers },
        applied: () => this.apply.applied,
      });
      this.keySweep = createKeySweep({
        clock,
        log,
        wal,
        disks: this.disks,
        checkpointPosition: () => this.apply.applied,
        onFatal,
      });
    }
    this.role = createLeadershipRole({
      clock,
      random,
      log,
      region,
      wal,
      control,
      stream,
      peers: this.peers,
      writeBlocker: () => this.writeBlocker,
      drain: () => this.intake.drain(),
      regions: ['us-east', 'eu-west', 'ap-south'],
      onRefused: () => void this.refusals++,
      onFatal,
    });
    this.intake = createGroupCommit({
      clock,
      random,
      log,
      region,
      schema,
      wal,
      apply: this.apply,
      ship: this.ship,
      gate: (epoch) => this.role.gate(epoch),
      ...(options.keysLimit === undefined
        ? {}
        : {
            keyRefusal: createKeyLimit({
              clock,
              wal,
              limit: options.keysLimit,
              storeLimitBytes: options.storeLimitBytes ?? 1e12,
              region,
            }),
          }),
      queueLimit: options.queueLimit ?? 10_000,
      queueLimitBytes: options.queueLimitBytes ?? 64 * 1024 * 1024,
      onFatal,
    });
  }

  meet(...others: readonly CoreRegion[]): void {
    this.known.push(...others);
  }

  start(): this {
    this.peers.start();
    this.role.start();
    this.ship.start();
    this.receiver.start();
    this.repair.start();
    this.drill.start();
    if (this.keySweep !== undefined) void this.wal.flushNotes();
    this.keySweep?.start();
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
    this.keptDigest.stop();
    await Promise.all([
      this.drill.stop(),
      this.role.stop(),
      this.repair.stop(),
      this.receiver.stop(),
      this.peers.stop(),
      this.ship.stop(),
      this.keySweep?.stop(),
    ]);
    await this.client.close();
  }

  /** Pulls the plug; answers the region as it starts again from its disk. */
  crash(unflushed: 'lost' | 'kept' = 'lost', options: Partial<CoreRegionOptions> = {}): CoreRegion {
    this.down = true;
    void this.client.close();
    const store = this.store.crash(unflushed);
    void Promise.all([
      this.drill.stop(),
      this.role.stop(),
      this.repair.stop(),
      this.receiver.stop(),
      this.peers.stop(),
      this.ship.stop(),
      this.keySweep?.stop(),
    ]);
    return new CoreRegion({ ...this.options, seed: seeds++ * 7_919, ...options, store }, [...this.linked]);
  }

  write(bodies: IntakeRequest['bodies'], options: { atomic?: boolean; durability?: Durability; epoch?: number } = {}) {
    const { atomic = false, durability = 'local', epoch = this.role.leadership?.epoch ?? 1 } = options;
    return this.intake.submit({ epoch, atomic, durability, bodies });
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

  private floorOf(origin: string): number {
    const reachable = [...this.peers.views.values()].filter((view) => view.reachable);
    if (reachable.length < this.peers.expected || reachable.length === 0) return 0;
    return Math.min(...reachable.map(({ status }) => sequenceOf(status.durable, origin)));
  }
}

/** The part of a link to a peer that serves no snapshot. */
export function noSnapshots(region: string): Pick<PeerLink, 'snapshot' | 'snapshotPart'> {
  const refuse = async (): Promise<never> => {
    throw new Refusal('region_unreachable', `${region} serves no snapshot`);
  };
  return { snapshot: refuse, snapshotPart: refuse };
}

function noIndexes(): Pick<RecoverOptions, 'filterIndex' | 'text'> & Pick<ApplierOptions, 'vectors'> {
  return {
    filterIndex: { put() {}, remove() {}, adopt() {} },
    text: { put() {}, remove() {}, adopt() {} },
    vectors: { changed() {}, touched() {} },
  };
}

export function view(entity: number, weight = 1_000): EventBody {
  return { kind: 'signal', entity, signal: 'view', weight, timeMs: undefined };
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
