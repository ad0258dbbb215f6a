/**
 * The whole system in one process: three regions and two routers, every line of them production code, on machines, disks,
 * clocks and a network of the simulation, with the stream's server in memory. One seed decides everything.
 */

import { type Batch, decodeHeader, splitMessage } from '../../services/region/batch/batch.ts';
import type { Schema } from '../../services/region/schema/schema.ts';
import {
  aliveKey,
  isUnsound,
  type Leadership,
  parseAlive,
  parseLeadership,
} from '../../shared/leadership/leadership.ts';
import type { LogFields } from '../../shared/observe/log.ts';
import { acceptedMs } from '../../shared/protocol/events.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { covers, formatPosition, type Position, parsePosition, regionOf } from '../../shared/protocol/position.ts';
import { LEADERSHIP_KEY } from '../../shared/stream/settings.ts';
import type { Topology } from '../../shared/topology/topology.ts';
import { schemaOf } from '../harness/region/rank/signals-schema.ts';
import { type BrokerCopy, MemoryBroker } from '../harness/stream/memory-stream.ts';
import { requireApplicable } from './applicable.ts';
import { Chance } from './chance.ts';
import { Chronicle, tagOf } from './chronicle.ts';
import type { ExchangeReply, ExchangeRequest } from './exchange.ts';
import { Failovers } from './failovers.ts';
import { Handovers } from './handovers.ts';
import { Holdings } from './holdings.ts';
import type { Machine } from './machine.ts';
import { BROKER, Network } from './network.ts';
import { Promises } from './promises.ts';
import { type Place, RegionMachine } from './region-machine.ts';
import { RouterMachine } from './router-machine.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';
import { Violation } from './violation.ts';

export const regionNames = ['us-east', 'eu-west', 'ap-south'] as const;
export const routerNames = ['router-1', 'router-2'] as const;

/** A half-life of two seconds moves a pair's decay buckets within one run. */
export const schema: Schema = {
  ...schemaOf(['view', 'positive', 3_600], ['like', 'positive', 86_400], ['skip', 'negative', 2]),
  textFields: [{ name: 'title', boost: 1 }],
};

/** A router that recreates a record has asked the regions within this time. */
const ASKED_WITHIN_MS = 6_000;

/** From the first step of a handover to its last, at most. */
const HANDOVER_LIMIT_MS = 15_000;

const EPOCH_MS = Date.UTC(2026, 0, 1);

const KEY_KEPT_MS = 7 * 86_400_000;

/** Without the bucket the other regions' reports may replace the record, but not before. */
const AWAKE_MS = 1_500;
/** The clock of a log may be ahead of the wall clock by this much without a note. */
const CLOCK_AHEAD_MS = 1_500;

/** By how much the time of an event may differ from the true one: it may have waited for its flush, but is never ahead. */
const TIME_LIMIT_MS = 60_000;
const AHEAD_LIMIT_MS = 5_000;

const FAILOVER_AFTER_MS = 5_000;

/** How often the ledger is written down, and how much of the log is kept. */
export interface Upkeep {
  readonly checkpointEvents: number;
  readonly checkpointIntervalMs: number;
  readonly logRetentionBytes: number;
}

/** Of the queues of a process, by the metric that says how long each is. */
export interface Limits {
  readonly tidal_intake_waiting_events: number;
  readonly tidal_intake_waiting_bytes: number;
  readonly tidal_router_held_writes: number;
}

export interface WorldOptions {
  readonly seed: string;
  readonly failover: 'manual' | 'automatic';
  readonly upkeep: Upkeep;
  readonly limits: Limits;
  /** Lines of the trace to keep; 0: only their hash. */
  readonly keep: number;
}

export class World {
  readonly chance: Chance;
  readonly scheduler: Scheduler;
  readonly trace: Trace;
  readonly network: Network;
  readonly broker: MemoryBroker;
  readonly chronicle = new Chronicle();
  readonly promises = new Promises(this.chronicle);
  private readonly handovers: Handovers;
  readonly failovers: Failovers;
  readonly holdings: Holdings;
  readonly schema = schema;
  readonly names = regionNames;
  readonly topology: Topology;
  readonly upkeep: Upkeep;
  readonly limits: Limits;
  readonly regions: readonly RegionMachine[];
  readonly routers: readonly RouterMachine[];
  /** Copies of the stream's disk, the newest last. */
  readonly brokerCopies: { readonly atMs: number; readonly copy: BrokerCopy }[] = [];
  /** Every fault has ended. */
  healed = false;
  /** True if the intruder has published or written something. */
  intruded = false;
  /** Days in which nothing happened, ms. */
  private passedMs = 0;
  /** When the last of them did, virtual ms. */
  passedAtMs = Number.NEGATIVE_INFINITY;
  /** A disk was retired: if it returns, its events may stop its origin. */
  disksRetired = false;
  /** Once all is well the disk of the leader is full, and it hands over. */
  fullDiskHandsOver = false;
  /** Once all is well the leader receives SIGTERM. */
  leaderStops = false;
  /** Once all is well it is left alone for this long, and then every region dies again. */
  quietMs = 0;
  /** The broker was paused at some time: requests from before are handled after. */
  brokerPaused = false;
  /** Who asked whom for a snapshot and was offered one by another region, and the id of that. */
  private readonly foreignOffers = new Set<string>();
  /** By `created`: the buckets that had a record. */
  private readonly buckets = new Set<string>();
  /** The run has ended: no process is restarted. */
  over = false;
  private tags = 0;
  /** The first thing that was wrong. */
  violation: Violation | undefined;
  /** The last report of every region: on one disk nothing goes back. */
  private readonly said = new Map<string, { disk: number; durable: Position; epoch: number }>();

  constructor({ seed, failover, upkeep, limits, keep }: WorldOptions) {
    this.upkeep = upkeep;
    this.limits = limits;
    this.chance = new Chance(seed);
    this.scheduler = new Scheduler(this.chance.fork('order'));
    this.trace = new Trace(() => this.scheduler.nowMs, keep);
    this.handovers = new Handovers(() => this.scheduler.nowMs);
    this.failovers = new Failovers({
      nowMs: () => this.scheduler.nowMs,
      afterMs: FAILOVER_AFTER_MS,
      machine: (name) => this.machine(name),
    });
    this.topology = {
      regions: regionNames.map((name) => ({ name, url: `http://${name}:9510` })),
      firstLeader: 'us-east',
      ...(failover === 'automatic' ? { failover: { afterMs: FAILOVER_AFTER_MS } } : {}),
    };
    this.network = new Network({
      scheduler: this.scheduler,
      chance: this.chance.fork('network'),
      onCall: (from, { path }, to) => {
        if (path === '/internal/drain') this.failovers.drains(from);
        if (path.startsWith('/internal/snapshot/')) this.check(() => this.checkOffer(`${from}>${to}`, path));
      },
      onRequest: (to, { path, body }) => {
        const region = this.regions.find(({ name }) => name === to);
        if (region !== undefined && isHeal(path, body)) {
          region.partitioned = false;
          region.heals++;
        }
      },
      onMisled: (way, { path }, { status, body }) => {
        if (path === '/internal/snapshot' && status === 200) this.foreignOffers.add(`${way} ${offerIn(body)}`);
      },
      onAnswer: (from, request, reply) => this.answered(from, request, reply),
    });
    this.broker = new MemoryBroker({
      clock: {
        nowMs: () => Math.floor(this.wallMs()),
        monotonicMs: () => this.scheduler.nowMs,
        after: (delayMs, action) => this.scheduler.after(delayMs, action),
      },
      wire: this.network.wire,
      onKey: (name, value) => {
        const region = regionNames.find((each) => aliveKey(each) === name);
        const alive = region === undefined ? undefined : parseAlive(value, region);
        if (alive !== undefined) this.failovers.beat(alive);
        if (name !== LEADERSHIP_KEY) return;
        this.check(() => {
          const record = recordIn(JSON.stringify(value));
          if (record === undefined) throw new Violation('the leadership key holds a record', JSON.stringify(value));
          this.handovers.recorded(record, () => this.lacking(record));
          this.checkRecord(record);
        });
      },
      onStored: (message) => {
        this.holdings.stored(message);
      },
    });
    this.holdings = new Holdings(this.broker, () => this.regions);
    this.regions = regionNames.map((name) => new RegionMachine(this, name));
    this.routers = routerNames.map((name) => new RouterMachine(this, name));
  }

  /** The true time. */
  wallMs(): number {
    return EPOCH_MS + this.passedMs + this.scheduler.nowMs;
  }

  pass(days: number): void {
    this.passedMs += days * 86_400_000;
    this.passedAtMs = this.scheduler.nowMs;
  }

  get machines(): readonly Machine[] {
    return [...this.regions, ...this.routers];
  }

  machine(name: string): Machine {
    return this.machines.find((machine) => machine.name === name)!;
  }

  region(name: string): RegionMachine {
    return this.regions.find((region) => region.name === name)!;
  }

  start(): void {
    for (const machine of this.machines) machine.start();
  }

  end(): void {
    this.over = true;
    for (const machine of this.machines) machine.life?.end();
  }

  /** Tags are above this one. */
  tagsFrom(tag: number): void {
    this.tags = tag;
  }

  /** Acknowledged for no other event. */
  nextTag(): number {
    return ++this.tags;
  }

  /**
   * Two regions of which each has trimmed what the other has lost with a disk that was restored from a backup: no log can bring
   * the one to the other (docs/failure-modes.md). Their names, if there are two.
   */
  get irreconcilable(): string | undefined {
    if (!this.regions.some(({ disk }) => disk > 1)) return undefined;
    const lacks = (one: RegionMachine, other: RegionMachine): string | undefined => {
      for (const [origin, begins] of other.logBegins) {
        if ((one.onDisk.get(origin) ?? 0) < begins - 1) return `${one.name} lacks ${origin}, trimmed by ${other.name}`;
      }
      return undefined;
    };
    for (const one of this.regions) {
      for (const other of this.regions) {
        const [there, back] = [lacks(one, other), lacks(other, one)];
        if (there !== undefined && back !== undefined) return `${there}; ${back}`;
      }
    }
    return undefined;
  }

  /** A disk or the broker has lost something. */
  lost(): void {
    this.promises.lost(this.holdings.held());
    this.handovers.bucketHas(this.recordInBucket);
    for (const region of this.regions) region.bucketHas(this.epochInBucket);
    this.forgetEpochs();
  }

  /**
   * An epoch that was lost with the last disk, the bucket and the last process that knew it may be given again: no rule can
   * prevent it.
   */
  forgetEpochs(): void {
    const epochs = [0, ...this.routers.map(({ router }) => router?.leadership.highestEpoch ?? 0)];
    epochs.push(this.epochInBucket);
    for (const { leadership, onDisk } of this.regions) {
      epochs.push(leadership.epoch);
      for (const origin of onDisk.keys()) epochs.push(this.chronicle.origins.get(origin)?.epoch ?? 0);
    }
    this.chronicle.forgetLeaders(Math.max(...epochs));
  }

  note(who: string, what: string): void {
    this.trace.note(who, what);
  }

  fail(violation: Violation): void {
    if (this.violation !== undefined) return;
    this.violation = violation;
    this.note('CHECK', violation.message);
  }

  /**
   * A bucket that was lost is recreated from what the regions remember: no record in it is older than what every router could
   * have learnt in the last few seconds.
   */
  private checkRecord(record: Leadership): void {
    const created = this.broker.bucket?.created;
    if (created === undefined || this.buckets.has(created)) return;
    this.buckets.add(created);
    const sinceMs = this.scheduler.nowMs - ASKED_WITHIN_MS;
    // Who is or was stopped may write now what was asked for long ago.
    if (this.brokerPaused || this.routers.some(({ life }) => life?.wasFrozen === true)) return;
    for (const region of this.regions) {
      const { name, life, leadership, servesSinceMs } = region;
      if (life === undefined || life.wasFrozen || Math.max(servesSinceMs, leadership.sinceMs) > sinceMs) continue;
      if (leadership.epoch < record.epoch) continue;
      if (!this.routers.every((router) => this.network.wasWhole(name, router.name, sinceMs))) continue;
      const what = `the new record has epoch ${record.epoch}; ${name} has known ${leadership.epoch} for long`;
      throw new Violation('a lost record is rebuilt from the regions', what);
    }
  }

  /** What the leader of a record lacks of what its predecessor has on its disk of the epoch before. */
  private lacking({ leader, epoch }: Leadership): string | undefined {
    const target = this.region(leader);
    // It had what it reported, on a disk that was lost.
    if (this.scheduler.nowMs - target.diskSinceMs < HANDOVER_LIMIT_MS) return undefined;
    for (const { name, epoch: of } of this.chronicle.origins.values()) {
      const last = this.region(regionOf(name)).onDisk.get(name) ?? 0;
      const there = target.onDisk.get(name) ?? 0;
      if (of === epoch - 1 && there < last)
        return `${leader} leads epoch ${epoch} and has ${name} up to ${there} of ${last}`;
    }
    return undefined;
  }

  /** A region accepts nothing of an offer from another region than it asked. */
  private checkOffer(way: string, path: string): void {
    const id = /^\/internal\/snapshot\/([^?]+)/.exec(path)?.[1];
    if (!this.foreignOffers.has(`${way} ${id}`)) return;
    throw new Violation('the answer of another region is refused', `${way} fetches the snapshot ${id}`);
  }

  /** Batches left the log of a region: another region has them, and what a lagging one may ask for is still there. */
  trimmed(region: RegionMachine, places: readonly Place[]): void {
    this.check(() => {
      let bytes = 0;
      for (const [origin, first] of places) {
        const batch = this.chronicle.origins.get(origin)?.batches.get(first);
        if (batch === undefined)
          throw new Violation('the checker itself', `${origin}:${first} was trimmed, never stored`);
        bytes = batch.bytes.length;
        if (this.regions.some(({ name }) => name !== region.name && this.holdings.everHeld(name, origin) >= batch.last))
          continue;
        throw new Violation(
          'a trimmed batch is on another disk',
          `${region.name} trimmed ${origin}:${first}, no other region had it`,
        );
      }
      const left = region.batchBytes + bytes;
      if (left >= this.upkeep.logRetentionBytes) return;
      throw new Violation('the retention is kept', `${region.name} trimmed its log to ${left} bytes`);
    });
  }

  /** Runs a check: what it throws is what the run fails with. */
  check(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.fail(
        error instanceof Violation ? error : new Violation('the checker itself', String((error as Error).stack)),
      );
    }
  }

  logged(who: string, level: string, message: string, fields?: LogFields): void {
    const shown =
      fields === undefined
        ? ''
        : ` ${JSON.stringify(fields, (_, value) => (value instanceof Error ? value.message : value))}`;
    this.note(who, `${level === 'info' ? '' : `${level}: `}${message}${shown}`);
    if (message === 'leader handed over') this.check(() => this.handovers.over(Number(fields?.epoch)));
    if (message === 'unresponsive leader replaced') this.check(() => this.failovers.replaced(who, fields ?? {}));
    const expected = [
      ...expectedErrors,
      ...(this.intruded ? errorsOfGarbage : []),
      // Events of a retired disk that returns can no longer be judged.
      ...(this.disksRetired ? ['keys_forgotten'] : []),
    ];
    if (level !== 'error' || expected.some((text) => `${message}${shown}`.includes(text))) return;
    const stack = fields?.error instanceof Error ? `\n${fields.error.stack}` : '';
    this.fail(new Violation('no error is logged', `${who}: ${message}${shown}${stack}`));
  }

  /** A batch reached the disk of a region. */
  flushed(machine: RegionMachine, bytes: Uint8Array): void {
    this.check(() => {
      const known = this.chronicle.last(decodeHeader(bytes).origin);
      const batch = this.chronicle.flushed(machine.name, bytes);
      this.holdings.note(machine.name, batch.origin, batch.last);
      checkClock(machine, batch, batch.last > known);
      this.note(machine.name, `has ${batch.origin}:${batch.first}-${batch.last} on disk`);
      if (machine.partitioned && regionOf(batch.origin) !== machine.name) {
        throw new Violation(
          'a partitioned region receives nothing',
          `${machine.name} took ${batch.origin}:${batch.first}`,
        );
      }
      this.checkForgotten(machine, batch);
      if (batch.last <= known) return;
      requireApplicable(batch, this.schema, regionNames);
      if (machine.life?.confirmed === false) {
        const what = `${machine.name} took ${batch.origin}:${batch.first} before it read the record`;
        throw new Violation('nothing is accepted before the record was read', what);
      }
      this.checkEpoch(machine, batch);
      checkRemembered(machine, batch);
      this.checkTimes(machine, batch);
      this.checkWitnesses(machine, batch);
      this.checkAwake(machine, batch);
      for (const [index, event] of batch.events.entries()) {
        this.promises.checkEvent(event, this.chronicle.formerItem(batch, batch.first + index, event.entity));
      }
      this.handovers.accepted(batch.epoch);
      this.checkKeys(machine, batch);
    });
  }

  /** The batches of an epoch in the log were built before the region knew of a later one; their flush may have taken a while. */
  private checkEpoch({ name, leadership, flushLimitMs, life }: RegionMachine, { origin, first, epoch }: Batch): void {
    const knownMs = this.scheduler.nowMs - leadership.sinceMs;
    if (epoch >= leadership.epoch || knownMs <= 10 * flushLimitMs || life?.wasFrozen !== false) return;
    const what = `${origin}:${first} was taken in epoch ${epoch}; ${name} has known ${leadership.epoch} for ${knownMs} ms`;
    throw new Violation('epochs only grow', what);
  }

  /** A resumed process accepts in no epoch that was over by then, as far as it can read the record. */
  private checkAwake({ name, awake, clockSetMs }: RegionMachine, { origin, first, epoch, events }: Batch): void {
    const { broker, network, scheduler } = this;
    if (epoch >= awake.epoch || clockSetMs >= awake.sinceMs || scheduler.nowMs > awake.sinceMs + AWAKE_MS) return;
    // Batches built before its pause were accepted before, by its clock.
    if (acceptedMs(events[0]!) < awake.wallMs - CLOCK_AHEAD_MS) return;
    if (!broker.up || broker.paused || !network.wasWhole(name, BROKER, awake.sinceMs)) return;
    const what = `${name} took ${origin}:${first} in epoch ${epoch} after its pause; the record said ${awake.epoch}`;
    throw new Violation('a resumed process reads the record first', what);
  }

  /** Undefined where the control bucket holds none. */
  get recordInBucket(): Leadership | undefined {
    const entry = this.broker.bucket?.entries.get(LEADERSHIP_KEY);
    return entry === undefined ? undefined : recordIn(entry.json);
  }

  /** Of the record in the control bucket; 0 where there is none. */
  get epochInBucket(): number {
    return this.recordInBucket?.epoch ?? 0;
  }

  /** Of the record in the control bucket; undefined where there is none. */
  get leaderInBucket(): string | undefined {
    return this.recordInBucket?.leader;
  }

  /** A wrong clock among unchanged ones accepts nothing: every write brings a router's clock. */
  private checkWitnesses(machine: RegionMachine, { origin, first }: Batch): void {
    const { clockOffsetMs, flushLimitMs, clockSetMs, stoodStillMs } = machine;
    const sinceMs = this.scheduler.nowMs - 10 * flushLimitMs;
    if (Math.abs(clockOffsetMs) <= TIME_LIMIT_MS || clockSetMs >= sinceMs || stoodStillMs >= sinceMs) return;
    if (this.machines.some((other) => other !== machine && other.clockSetMs >= 0)) return;
    const what = `${machine.name} took ${origin}:${first} with a clock that is ${Math.round(clockOffsetMs / 1_000)} s off`;
    throw new Violation('a wrong clock accepts nothing', what);
  }

  /** Once a clock is right, events accepted by it have the present time, whatever was in the log before. */
  private checkTimes(machine: RegionMachine, { origin, first, events }: Batch): void {
    if (!machine.toldTimeSince(this.scheduler.nowMs - 10 * machine.flushLimitMs)) return;
    const nowMs = this.wallMs();
    for (const [index, event] of events.entries()) {
      const askedMs = this.promises.timeMeant(event) ?? nowMs;
      const offMs = (event.kind === 'signal' ? event.timeMs : acceptedMs(event)) - Math.min(askedMs, nowMs);
      if (-TIME_LIMIT_MS <= offMs && offMs <= AHEAD_LIMIT_MS) continue;
      const what = `${origin}:${first + index}, accepted by a clock that is right, is of ${Math.round(offMs / 1_000)} s later`;
      throw new Violation('an accepted event has its true time', what);
    }
  }

  /** A region with a keyed write on its disk does not accept a duplicate, for as long as all clocks keep the key. */
  private checkKeys(machine: RegionMachine, { origin, first, events }: Batch): void {
    for (const [index, event] of events.entries()) {
      const { key } = event;
      if (key === undefined) continue;
      const before = this.chronicle.byTag.get(tagOf(event))!.find((copy) => {
        if (copy.event.key?.id !== key.id || (copy.origin.name === origin && copy.sequence === first + index))
          return false;
        if (Math.abs(acceptedMs(copy.event) - acceptedMs(event)) >= KEY_KEPT_MS) return false;
        return copy.sequence <= (machine.onDisk.get(copy.origin.name) ?? 0);
      });
      if (before === undefined) continue;
      const where = `${before.origin.name}:${before.sequence}`;
      throw new Violation(
        'no keyed request twice',
        `${origin}:${first + index} is a duplicate of ${where}, which it had`,
      );
    }
  }

  /** A signal that may be a duplicate of one whose record this disk has removed might be counted twice: it must be refused. */
  private checkForgotten({ name, forgotten, flushLimitMs }: RegionMachine, { origin, first, events }: Batch): void {
    const { beforeMs, sinceMs } = forgotten;
    // Its append may have begun before.
    if (beforeMs === 0 || this.scheduler.nowMs - sinceMs <= 10 * flushLimitMs) return;
    const copy = events.findIndex(
      ({ kind, ...event }) =>
        (kind === 'signal' || kind === 'retraction') &&
        event.key !== undefined &&
        acceptedMs(event) < beforeMs + KEY_KEPT_MS,
    );
    if (copy < 0) return;
    const what = `${name} took ${origin}:${first + copy}, and has forgotten keys used before ${new Date(beforeMs).toISOString()}`;
    throw new Violation('nothing is accepted under a removed key', what);
  }

  /** What regions report must be on their disk, and never less than they reported before. */
  private answered(from: string, { path, body: asked }: ExchangeRequest, { status, body }: ExchangeReply): void {
    const region = this.regions.find(({ name }) => name === from);
    if (region !== undefined && isHeal(path, asked)) region.heals--;
    if (region === undefined || status !== 200) return;
    if (path.startsWith('/internal/log/')) this.check(() => this.checkServed(region, body));
    if (path !== '/internal/status' && path !== '/internal/leadership' && path !== '/internal/partition') return;
    const reported = JSON.parse(body.toString()) as RegionStatus;
    // A partition that ends by itself ends at an unobserved time.
    if (path === '/internal/partition')
      region.partitioned = reported.partitioned && reported.healAtMs === undefined && region.heals === 0;
    this.check(() => this.checkStatus(region, reported));
  }

  private checkServed(region: RegionMachine, body: Buffer): void {
    for (const part of splitMessage(body)) {
      const { origin, last } = decodeHeader(part);
      if (last <= (region.onDisk.get(origin) ?? 0)) continue;
      throw new Violation('flushed before it is served', `${region.name} serves ${origin}:${last}`);
    }
  }

  /**
   * Who started with an empty disk beside others that have a past serves once it has caught up with at least one of them as
   * it was then; it cannot know of more where the others do not answer.
   */
  private checkReady(region: RegionMachine, durable: Position): void {
    const { owed } = region;
    region.owed = undefined;
    if (owed === undefined || owed.length === 0) return;
    if (owed.some(({ region: peer, disk, position }) => peer.disk !== disk || position.size === 0)) return;
    if (owed.some(({ position }) => covers(durable, position))) return;
    const at = formatPosition(durable);
    throw new Violation(
      'no region serves before it has caught up',
      `${region.name} started empty and is ready at "${at}"`,
    );
  }

  private checkStatus(region: RegionMachine, status: RegionStatus): void {
    const durable = parsePosition(status.durable)!;
    const applied = parsePosition(status.applied)!;
    for (const [origin, sequence] of durable) {
      if (sequence <= (region.onDisk.get(origin) ?? 0)) continue;
      throw new Violation('flushed before it is reported', `${region.name} reports ${origin}:${sequence}`);
    }
    for (const [origin, sequence] of applied) {
      if (sequence <= (durable.get(origin) ?? 0)) continue;
      throw new Violation('applied is never ahead of durable', `${region.name} applied ${origin}:${sequence}`);
    }
    if (status.ready) this.checkReady(region, durable);
    const epoch = status.leadership?.epoch ?? 0;
    const before = this.said.get(region.name);
    if (before !== undefined && before.disk === region.disk) {
      for (const [origin, sequence] of before.durable) {
        if ((durable.get(origin) ?? 0) >= sequence) continue;
        throw new Violation('durable never goes back', `${region.name} had ${origin}:${sequence}`);
      }
      if (epoch < before.epoch) {
        throw new Violation('epochs only grow', `${region.name} went from ${before.epoch} back to ${epoch}`);
      }
    }
    this.said.set(region.name, { disk: region.disk, durable, epoch });
  }
}

/** Accepted events follow everything of their epoch on the disk, whatever the clock says. */
function checkClock(machine: RegionMachine, { origin, epoch, first, events }: Batch, accepted: boolean): void {
  for (const [index, { hlc }] of events.entries()) {
    if (accepted && hlc <= machine.highestHlcOf(epoch)) {
      throw new Violation('later than everything before', `${origin}:${first + index} in ${machine.name} is not`);
    }
    machine.noteHlc(epoch, hlc);
  }
}

/** A leader has the record on its disk, so that after a crash it knows the epoch in which it accepted. */
function checkRemembered({ name, leadership }: RegionMachine, { origin, first, epoch }: Batch): void {
  if (epoch <= leadership.epoch) return;
  const what = `${name} took ${origin}:${first} in epoch ${epoch}; its disk knows ${leadership.epoch}`;
  throw new Violation('a leader has stored that it leads', what);
}

/** The id of the snapshot that is offered. */
function offerIn(body: Buffer): string {
  return String((JSON.parse(body.toString()) as { id?: unknown }).id);
}

function isHeal(path: string, body: string | undefined): boolean {
  return path === '/internal/partition' && body?.includes('false') === true;
}

/** The value of the key, whichever client wrote it; undefined if it is invalid. */
function recordIn(json: string): Leadership | undefined {
  try {
    const parsed = parseLeadership(JSON.parse(json), { regions: regionNames, knownEpoch: 0 });
    return isUnsound(parsed) ? undefined : parsed;
  } catch {
    return undefined;
  }
}

/** Logged as errors because an operator must know; not wrong in a world that fails like this one. */
const expectedErrors = [
  'leadership record not stored, disk full',
  'heal not stored, disk full',
  'leader unresponsive, no region can take over',
  // The process ends of it, as it must.
  'another process has written to this disk',
  'injected: storage_failed',
];

/** Garbage may cause error log lines, and no more. */
const errorsOfGarbage = ['damaged message in the stream', 'batch refused', 'malformed value in the control bucket'];
