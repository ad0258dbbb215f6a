/**
 * The whole system in one process: three regions and two routers, every line of them production code, on machines, disks,
 * clocks and a network of the simulation, with the stream's server in memory. One seed decides everything.
 */
import type { LogFields } from '../../shared/observe/log.ts';
import { type Batch, decodeHeader, splitMessage } from '../../shared/protocol/batch.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import type { Leadership } from '../../shared/protocol/leadership.ts';
import { merge, type Position, parsePosition, regionOf } from '../../shared/protocol/position.ts';
import type { Schema } from '../../shared/schema/schema.ts';
import type { Topology } from '../../shared/schema/topology.ts';
import { LEADERSHIP_KEY } from '../../shared/stream/settings.ts';
import { type BrokerCopy, MemoryBroker } from '../harness/memory-stream.ts';
import { schemaOf } from '../harness/signals-schema.ts';
import { Chance } from './chance.ts';
import { Chronicle, tagOf } from './chronicle.ts';
import type { ExchangeReply, ExchangeRequest } from './exchange.ts';
import { Handovers } from './handovers.ts';
import { type Machine, RegionMachine, RouterMachine } from './machine.ts';
import { BROKER, Network } from './network.ts';
import { Promises } from './promises.ts';
import { Scheduler } from './scheduler.ts';
import { Trace } from './trace.ts';
import { Violation } from './violation.ts';

export const regionNames = ['us-east', 'eu-west', 'ap-south'] as const;
export const routerNames = ['router-1', 'router-2'] as const;

/** A half-life of two seconds moves a pair's decay cells within one run. */
export const schema: Schema = {
  ...schemaOf(['view', 'positive', 3_600], ['like', 'positive', 86_400], ['skip', 'negative', 2]),
  textFields: [{ name: 'title', boost: 1 }],
};

const EPOCH_MS = Date.UTC(2026, 0, 1);

/** How often the ledger is written down, and how much of the log is kept. */
export interface Upkeep {
  readonly checkpointEvents: number;
  readonly checkpointIntervalMs: number;
  readonly logRetentionBytes: number;
}

export interface WorldOptions {
  readonly seed: string;
  readonly failover: 'manual' | 'automatic';
  readonly upkeep: Upkeep;
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
  readonly schema = schema;
  readonly names = regionNames;
  readonly topology: Topology;
  readonly upkeep: Upkeep;
  readonly regions: readonly RegionMachine[];
  readonly routers: readonly RouterMachine[];
  /** Copies of the stream's disk, the newest last. */
  readonly brokerCopies: { readonly atMs: number; readonly copy: BrokerCopy }[] = [];
  /** Every fault has ended. */
  healed = false;
  /** The run has ended: nobody starts again. */
  over = false;
  private tags = 0;
  /** How much of every origin was ever on the disk of each region, and in the stream. */
  private readonly ever = new Map<string, Map<string, number>>();
  /** The first thing that was wrong. */
  violation: Violation | undefined;
  /** What every region said last: on one disk nothing goes back. */
  private readonly said = new Map<string, { disk: number; durable: Position; epoch: number }>();

  constructor({ seed, failover, upkeep, keep }: WorldOptions) {
    this.upkeep = upkeep;
    this.chance = new Chance(seed);
    this.scheduler = new Scheduler(this.chance.fork('order'));
    this.trace = new Trace(() => this.scheduler.nowMs, keep);
    this.handovers = new Handovers(() => this.scheduler.nowMs);
    this.topology = {
      regions: regionNames.map((name) => ({ name, url: `http://${name}:9510` })),
      firstLeader: 'us-east',
      ...(failover === 'automatic' ? { failover: { afterMs: 5_000 } } : {}),
    };
    this.network = new Network({
      scheduler: this.scheduler,
      chance: this.chance.fork('network'),
      onRequest: (to, { path, body }) => {
        const region = this.regions.find(({ name }) => name === to);
        if (region !== undefined && isHeal(path, body)) {
          region.cutOff = false;
          region.heals++;
        }
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
        if (name === LEADERSHIP_KEY) this.handovers.recorded(value as Leadership);
      },
      onStored: ({ bytes }) => {
        for (const part of splitMessage(bytes)) {
          const { origin, last } = decodeHeader(part);
          this.noteEver(BROKER, origin, last);
        }
      },
    });
    this.regions = regionNames.map((name) => new RegionMachine(this, name));
    this.routers = routerNames.map((name) => new RouterMachine(this, name));
  }

  wallMs(): number {
    return EPOCH_MS + this.scheduler.nowMs;
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

  /** Told to no other event. */
  nextTag(): number {
    return ++this.tags;
  }

  private noteEver(where: string, origin: string, last: number): void {
    const here = this.ever.get(where) ?? new Map<string, number>();
    this.ever.set(where, here);
    here.set(origin, Math.max(last, here.get(origin) ?? 0));
  }

  /** `durability: stream` was answered: the stream took it, or another region has it on its disk as well. */
  checkInStream(position: Position): void {
    for (const [origin, sequence] of position) {
      const places = [...this.ever].filter(([, held]) => (held.get(origin) ?? 0) >= sequence).map(([place]) => place);
      if (places.length >= 2) continue;
      throw new Violation(
        'durability is true',
        `${origin}:${sequence} was answered as in the stream, and was only in ${places}`,
      );
    }
  }

  note(who: string, what: string): void {
    this.trace.note(who, what);
  }

  fail(violation: Violation): void {
    if (this.violation !== undefined) return;
    this.violation = violation;
    this.note('CHECK', violation.message);
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
    if (level !== 'error' || expectedErrors.some((expected) => `${message}${shown}`.includes(expected))) return;
    const stack = fields?.error instanceof Error ? `\n${fields.error.stack}` : '';
    this.fail(new Violation('no error is logged', `${who}: ${message}${shown}${stack}`));
  }

  /** A batch reached the disk of a region. */
  flushed(machine: RegionMachine, bytes: Uint8Array): void {
    this.check(() => {
      const known = this.chronicle.last(decodeHeader(bytes).origin);
      const batch = this.chronicle.flushed(machine.name, bytes);
      this.noteEver(machine.name, batch.origin, batch.last);
      checkClock(machine, batch, batch.last > known);
      this.note(machine.name, `has ${batch.origin}:${batch.first}-${batch.last} on disk`);
      if (machine.cutOff && regionOf(batch.origin) !== machine.name) {
        throw new Violation('a cut region takes nothing', `${machine.name} took ${batch.origin}:${batch.first}`);
      }
      if (batch.last <= known) return;
      for (const event of batch.events) this.promises.checkEvent(event);
      this.handovers.accepted(batch.epoch);
      this.checkKeys(machine, batch);
    });
  }

  /** Who has a copy of a keyed write on its disk does not take another. */
  private checkKeys(machine: RegionMachine, { origin, first, events }: Batch): void {
    for (const [index, event] of events.entries()) {
      const { key } = event;
      if (key === undefined) continue;
      const before = this.chronicle.byTag.get(tagOf(event))!.find((copy) => {
        if (copy.event.key?.id !== key.id || (copy.origin.name === origin && copy.sequence === first + index))
          return false;
        return copy.sequence <= (machine.onDisk.get(copy.origin.name) ?? 0);
      });
      if (before === undefined) continue;
      const where = `${before.origin.name}:${before.sequence}`;
      throw new Violation(
        'no keyed request twice',
        `${origin}:${first + index} is a copy of ${where}, which was there`,
      );
    }
  }

  /** What regions tell each other and the routers must be on their disk, and never less than they told before. */
  private answered(from: string, { path, body: asked }: ExchangeRequest, { status, body }: ExchangeReply): void {
    const region = this.regions.find(({ name }) => name === from);
    if (region !== undefined && isHeal(path, asked)) region.heals--;
    if (region === undefined || status !== 200) return;
    if (path.startsWith('/internal/log/')) this.check(() => this.checkServed(region, body));
    if (path !== '/internal/status' && path !== '/internal/leadership' && path !== '/internal/cut') return;
    const told = JSON.parse(body.toString()) as RegionStatus;
    // A cut that ends by itself ends at a moment nobody is told of.
    if (path === '/internal/cut') region.cutOff = told.cut && told.healAtMs === undefined && region.heals === 0;
    this.check(() => this.checkStatus(region, told));
  }

  private checkServed(region: RegionMachine, body: Buffer): void {
    for (const part of splitMessage(body)) {
      const { origin, last } = decodeHeader(part);
      if (last <= (region.onDisk.get(origin) ?? 0)) continue;
      throw new Violation('flushed before it is served', `${region.name} serves ${origin}:${last}`);
    }
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

  /** What all disks and the stream have together. */
  held(): Position {
    let held: Position = new Map();
    for (const { onDisk } of this.regions) held = merge(held, onDisk);
    for (const { bytes } of this.broker.stream?.messages.values() ?? []) {
      for (const part of splitMessage(bytes)) {
        const { origin, last } = decodeHeader(part);
        if (last > (held.get(origin) ?? 0)) held = merge(held, new Map([[origin, last]]));
      }
    }
    return held;
  }
}

/** What a region accepts is later than everything on its disk, whatever its clock says. */
function checkClock(machine: RegionMachine, { origin, first, events }: Batch, accepted: boolean): void {
  for (const [index, { hlc }] of events.entries()) {
    if (accepted && hlc <= machine.highestHlc) {
      throw new Violation('later than everything before', `${origin}:${first + index} in ${machine.name} is not`);
    }
    machine.highestHlc = Math.max(machine.highestHlc, hlc);
  }
}

function isHeal(path: string, body: string | undefined): boolean {
  return path === '/internal/cut' && body?.includes('false') === true;
}

/** Logged as errors because an operator must know; not wrong in a world that fails like this one. */
const expectedErrors = [
  'the disk is full: the leadership record cannot be stored',
  'the disk is full: the heal cannot be stored yet',
  'the leader is silent and nobody can take over',
  // The process ends of it, as it must.
  'injected: storage_failed',
];
