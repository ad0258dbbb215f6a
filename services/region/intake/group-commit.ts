/**
 * Group commit: all writes that wait when a flush ends are committed together by the next one, in order of arrival. See
 * `intake.ts` for the order of effects.
 */
import { Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName } from '../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import type { RequestedBody, WriteBody } from '../../../shared/protocol/events.ts';
import { BATCH_LIMIT_BYTES, BATCH_LIMIT_EVENTS } from '../../../shared/protocol/events.ts';
import type { Durability, WritesReply } from '../../../shared/protocol/internal.ts';
import { merge, type Position } from '../../../shared/protocol/position.ts';
import type { SignalColumns } from '../../../shared/protocol/signal-columns.ts';
import type { Apply } from '../apply/apply.ts';
import { Condition } from '../condition/condition.ts';
import type { Schema } from '../schema/schema.ts';
import type { Ship } from '../ship/ship.ts';
import { FRESH_FOR_MS } from '../state/keys/keys.ts';
import type { Wal } from '../wal/wal.ts';
import type { Accepted, Admitted, Outcome, Placed } from './admitted.ts';
import { Answers } from './answers.ts';
import { type BuiltBatches, buildBatches } from './build-batches.ts';
import { bytesOf, countOf, isColumns, type RequestedBulk } from './bulk.ts';
import type { ClientKeys } from './client-keys.ts';
import { HybridClock, type Stamp } from './hybrid-clock.ts';
import type { Gate, Intake, IntakeRequest } from './intake.ts';
import { type IntakeMetrics, intakeMetrics } from './intake-metrics.ts';
import { hasPatch, mergedBytes, mergePatches, type PatchedItems, SeparateItems } from './item-patches.ts';
import { KeyedWrites } from './keyed-writes.ts';
import { noRoom, refusalFor, shuttingDown } from './refusals/refusals.ts';
import { hasPositions, type Retraction, readPositions, SignalReader } from './retractions/retractions.ts';
import type { StateLimit } from './state-limit.ts';
import { unknownSignal, validate } from './validate.ts';

/** How long a patch waits until what is durable is applied: longer than any batch takes. */
const MERGE_WAIT_MS = 5_000;

export interface GroupCommitOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly region: string;
  readonly schema: Schema;
  readonly wal: Wal;
  readonly apply: Apply;
  /** What patches are merged with. */
  readonly items: PatchedItems;
  readonly ship: Ship;
  /** Checked before every admission and again when a group is built. */
  readonly gate: (epoch: number) => Gate;
  /** Why no writes under new keys are accepted now; absent: there is no limit. */
  readonly keyRefusal?: () => Refusal | undefined;
  /** Limits the keys of one client; absent: there is no limit. */
  readonly clientKeys?: Pick<ClientKeys, 'refusalOf' | 'accepted'> | undefined;
  /** Why no retraction is accepted now; absent: they are. */
  readonly retractionRefusal?: (() => Refusal | undefined) | undefined;
  /** Refuses writes that would add more to the state than it may have; absent: there is no limit. */
  readonly stateLimit?: Pick<StateLimit, 'refusals'> | undefined;
  /** Events that may wait; more are refused. */
  readonly queueLimit: number;
  /** Their bytes as logged. */
  readonly queueLimitBytes: number;
  /** The store failed: the process must end without answering. */
  readonly onFatal: (error: unknown) => void;
}

/** This process's origin of an epoch. */
interface Open {
  readonly origin: string;
  readonly epoch: number;
}

export function createGroupCommit(options: GroupCommitOptions): Intake {
  return new GroupCommit(options);
}

class GroupCommit implements Intake {
  private readonly options: GroupCommitOptions;
  private readonly metrics: IntakeMetrics;
  private hlc: HybridClock;
  private readonly keyed: KeyedWrites;
  private readonly signals: SignalReader;
  private readonly answers: Answers;
  private readonly idle: Condition;
  private queue: Admitted[] = [];
  private committing = false;
  /** Requests with patches in the queue. */
  private patches = 0;
  private stopped = false;
  private open: Open | undefined;
  waiting = 0;
  waitingBytes = 0;

  constructor(options: GroupCommitOptions) {
    this.options = options;
    this.hlc = new HybridClock(options.clock);
    this.keyed = new KeyedWrites({
      copies: (id) => options.wal.copies(id),
      arriving: (id) => options.wal.arriving(id),
    });
    this.signals = new SignalReader(options);
    this.idle = new Condition(options.clock);
    this.metrics = intakeMetrics(options.metrics, this);
    this.answers = new Answers({ ...options, metrics: this.metrics });
  }

  async submit(request: IntakeRequest): Promise<WritesReply> {
    const { bodies, atomic, durability, epoch, clients = [] } = request;
    const { gate, ship } = this.options;
    if (this.stopped) throw shuttingDown();
    const admitted = gate(epoch);
    if (admitted instanceof Refusal) throw admitted;
    if (durability === 'stream' && !ship.healthy) {
      throw new Refusal('stream_unavailable', 'the stream is unavailable, so it cannot acknowledge writes', {
        hint: 'leave out Prefer: durability=stream to accept local durability',
      });
    }
    if (atomic && hasPatch(bodies)) {
      throw new Refusal('invalid_request', 'a patch is a request of its own, not part of an atomic one');
    }
    const count = countOf(bodies);
    const tooMany = this.noRoom(count, 0);
    if (tooMany !== undefined) throw tooMany;
    if (isColumns(bodies)) return this.submitSignals(bodies, epoch, durability);
    const asked = hasPositions(bodies) ? await this.readPositions(bodies) : (bodies as readonly WriteBody[]);
    if (this.stopped) throw shuttingDown();
    const nowMs = this.options.clock.nowMs();
    const checked = asked.map((body) => (body instanceof Refusal ? body : (this.refusalOf(body, nowMs) ?? body)));
    const writes = asked.filter((body): body is WriteBody => !(body instanceof Refusal));
    const tooLarge = this.noRoom(count, bytesOf(writes));
    if (tooLarge !== undefined) throw tooLarge;
    if (atomic) {
      const index = checked.findIndex((body) => body instanceof Refusal);
      const refusal = checked[index];
      if (refusal instanceof Refusal) return { results: [{ problem: refusal.toProblem(), index }] };
      return { results: await this.answers.finish([await this.take(writes, epoch, clients[0])], durability, writes) };
    }
    const outcomes = checked.map((body, index) =>
      body instanceof Refusal ? body : this.take([body], epoch, clients[index]),
    );
    return { results: await this.answers.finish(await Promise.all(outcomes), durability, asked) };
  }

  private readPositions(bodies: readonly RequestedBody[]): Promise<(WriteBody | Refusal)[]> {
    return this.whileWaiting(bodies.length, 0, readPositions({ ...this.options, signals: this.signals }, bodies));
  }

  /** Counts what is not in the queue yet: it waits for a read of the log. */
  private whileWaiting<T>(events: number, bytes: number, read: Promise<T>): Promise<T> {
    this.waiting += events;
    this.waitingBytes += bytes;
    return read.finally(() => {
      this.waiting -= events;
      this.waitingBytes -= bytes;
    });
  }

  private refusalOf(body: WriteBody, nowMs: number): Refusal | undefined {
    const refusal = validate(this.options.schema, body, nowMs);
    return refusal ?? (body.kind === 'retraction' ? this.options.retractionRefusal?.() : undefined);
  }

  private async submitSignals(signals: SignalColumns, epoch: number, durability: Durability): Promise<WritesReply> {
    const unknown = signals.names.map((name) => unknownSignal(this.options.schema, name));
    const index = signals.kinds.findIndex((kind) => unknown[kind] !== undefined);
    const refusal = unknown[signals.kinds[index] ?? -1];
    if (refusal !== undefined) return { results: [{ problem: refusal.toProblem(), index }] };
    const tooLarge = this.noRoom(signals.count, bytesOf(signals));
    if (tooLarge !== undefined) throw tooLarge;
    // Without keys no duplicate can be received meanwhile.
    const placed = (await this.enqueue(signals, epoch)) as Refusal | Placed;
    return { results: await this.answers.finish([placed], durability, []) };
  }

  private noRoom(events: number, bytes: number): Refusal | undefined {
    return noRoom({ ...this.options, waiting: this.waiting, waitingBytes: this.waitingBytes }, events, bytes);
  }

  /**
   * Admits writes that are atomic together, unless their idempotency keys show that they were accepted before. `read`: retractions
   * that were compared with what they take back.
   */
  private take(
    bodies: readonly WriteBody[],
    epoch: number,
    client?: string,
    read: ReadonlySet<string> = new Set(),
  ): Promise<Refusal | Placed> {
    // Without a key no duplicate can be received meanwhile.
    if (bodies.every(({ key }) => key === undefined)) return this.enqueue(bodies, epoch) as Promise<Refusal | Placed>;
    const met = this.keyed.meet(bodies, this.stampNow().atMs);
    switch (met.is) {
      case 'busy':
        return met.over.then(() => this.takeAfterAll(bodies, epoch, client));
      case 'refused':
        if (met.refusal.code === 'idempotency_conflict') this.metrics.keyConflict();
        return Promise.resolve(met.refusal);
      case 'known':
        this.metrics.replayed(bodies.length);
        return Promise.resolve({ position: met.known, replayed: true });
      case 'fresh': {
        const unread = met.bodies.filter(
          (body): body is Retraction => body.kind === 'retraction' && !read.has(readOf(body)),
        );
        if (unread.length > 0) return this.takeOnceRead(unread, bodies, epoch, client, read);
        const { keyRefusal, clientKeys } = this.options;
        // A retraction uses no new key.
        const isNew = met.bodies.some(({ kind }) => kind !== 'retraction');
        const refusal = keyRefusal?.() ?? (isNew ? clientKeys?.refusalOf(client) : undefined);
        if (refusal !== undefined && (isNew || refusal.code !== 'storage_full')) return Promise.resolve(refusal);
        const outcome = this.enqueue(met.bodies, epoch);
        this.keyed.waitFor(met.bodies, outcome);
        return outcome.then((placed) => {
          if (placed === 'duplicate-arrived') return this.takeAfterAll(bodies, epoch, client);
          if (placed instanceof Refusal) return placed;
          if (isNew) clientKeys?.accepted(client, met.bodies.length);
          if (met.known.size === 0) return placed;
          return { position: merge(met.known, placed.position) };
        });
      }
    }
  }

  /** A retraction is accepted only with the values of what it takes back. */
  private async takeOnceRead(
    unread: readonly Retraction[],
    bodies: readonly WriteBody[],
    epoch: number,
    client: string | undefined,
    read: ReadonlySet<string>,
  ): Promise<Refusal | Placed> {
    const refusal = await this.whileWaiting(bodies.length, bytesOf(bodies), this.signals.refusalOf(unread));
    if (refusal?.code === 'idempotency_conflict') this.metrics.keyConflict();
    return refusal ?? this.takeAfterAll(bodies, epoch, client, new Set([...read, ...unread.map(readOf)]));
  }

  /** The outcome of the keys that were waited for is known now. */
  private takeAfterAll(
    bodies: readonly WriteBody[],
    epoch: number,
    client?: string,
    read?: ReadonlySet<string>,
  ): Promise<Refusal | Placed> | Refusal {
    if (this.stopped) return shuttingDown();
    return this.noRoom(bodies.length, bytesOf(bodies)) ?? this.take(bodies, epoch, client, read);
  }

  private enqueue(bodies: RequestedBulk, epoch: number): Promise<Outcome> {
    const bytes = bytesOf(bodies);
    const { received } = this.options.wal;
    const { atMs } = this.stampNow();
    return new Promise((resolve) => {
      this.queue.push({ bodies, epoch, bytes, received, atMs, resolve });
      this.waiting += countOf(bodies);
      if (hasPatch(bodies)) this.patches++;
      this.waitingBytes += bytes;
      if (!this.committing) void this.commitAll();
    });
  }

  private async commitAll(): Promise<void> {
    this.committing = true;
    // Later writes of the same request belong to the same group.
    await Promise.resolve();
    try {
      while (this.queue.length > 0) {
        await this.options.apply.room();
        await this.commitGroup(this.nextGroup());
      }
    } catch (error) {
      this.options.onFatal(error);
      return;
    }
    this.committing = false;
    this.idle.notify();
  }

  /** The entries of one transaction: at least one, then as many as fit one batch. */
  private nextGroup(): Admitted[] {
    let events = 0;
    let bytes = 0;
    let count = 0;
    const group: Admitted[] = [];
    const deferred: Admitted[] = [];
    const separate = this.patches === 0 ? undefined : new SeparateItems();
    for (const entry of this.queue) {
      if (separate?.admits(entry.bodies) === false) {
        deferred.push(entry);
        count++;
        continue;
      }
      events += countOf(entry.bodies);
      bytes += entry.bytes + (separate === undefined ? 0 : mergedBytes(this.options.items, entry.bodies));
      if (group.length > 0 && (events > BATCH_LIMIT_EVENTS || bytes > BATCH_LIMIT_BYTES)) break;
      group.push(entry);
      count++;
    }
    this.queue.splice(0, count, ...deferred);
    return group;
  }

  private async commitGroup(group: readonly Admitted[]): Promise<void> {
    const { wal, schema, apply, clock } = this.options;
    this.options.turns?.mark('write');
    const startMs = clock.monotonicMs();
    for (const entry of group) {
      this.waiting -= countOf(entry.bodies);
      this.waitingBytes -= entry.bytes;
    }
    const patches = this.patches === 0 ? 0 : group.filter(({ bodies }) => hasPatch(bodies)).length;
    this.patches -= patches;
    // What was accepted elsewhere and is durable here is part of the items: after a promotion, the last writes of the former leader.
    const isApplied = patches === 0 || (await apply.reached(new Map(wal.durable), MERGE_WAIT_MS));
    let { remaining, epoch } = this.admit(group);
    let accepted: readonly Accepted[];
    let origin: string;
    let built: BuiltBatches;
    try {
      while (epoch !== undefined && this.open?.epoch !== epoch) {
        await this.openOrigin(epoch);
        // Opening took time: the leadership or the clock may have changed.
        ({ remaining, epoch } = this.admit(remaining));
      }
      // From here to the append there is no await: received batches that are not being appended now follow it in the log, and the
      // clock that was judged is the one that is read.
      const stamp = this.stampNow();
      accepted = this.withinStateLimit(this.merged(this.withoutCopies(remaining, stamp), isApplied));
      remaining = accepted;
      if (this.open === undefined || accepted.length === 0) return;
      ({ origin } = this.open);
      // The last point at which a refusal is possible: from here on every entry gets its sequences.
      this.hlc.take(
        stamp,
        accepted.reduce((sum, { bodies }) => sum + countOf(bodies), 0),
      );
      built = buildBatches({
        ...this.open,
        stamp,
        after: wal.origin(origin),
        schemaHash: schema.hash,
        bulks: accepted.map(({ bodies }) => bodies),
      });
      await wal.append({ batches: built.batches, own: true });
    } catch (error) {
      const refusal = refusalFor(error);
      if (refusal === undefined) throw error;
      // Nothing was appended, or the transaction was rolled back: a refusal is true and the sequences are still free.
      for (const entry of remaining) entry.resolve(refusal);
      return;
    }
    await apply.apply(built.batches);
    const events = accepted.reduce((sum, entry) => sum + countOf(entry.bodies), 0);
    this.metrics.committed(events, clock.monotonicMs() - startMs);
    for (const [index, entry] of accepted.entries()) {
      entry.resolve({ position: new Map([[origin, built.placed[index]!]]) });
    }
  }

  /** The entries that may be accepted now; the others are refused. */
  private admit(entries: readonly Admitted[]): { remaining: readonly Admitted[]; epoch: number | undefined } {
    let epoch: number | undefined;
    const remaining = entries.filter((entry) => {
      const opened = this.options.gate(entry.epoch);
      if (opened instanceof Refusal) {
        entry.resolve(opened);
        return false;
      }
      epoch = opened.epoch;
      return true;
    });
    return { remaining, epoch };
  }

  /**
   * Entries of which another region's duplicate was received since their admission are answered with it. The same applies to a
   * key whose seven days were over by a clock that has stepped back since: accepted now, it would not count. Retractions that
   * waited for long are checked again.
   */
  private withoutCopies(admitted: readonly Admitted[], { atMs }: Stamp): readonly Admitted[] {
    const { received } = this.options.wal;
    return admitted.filter((entry) => {
      const isFresh = entry.received === received && entry.atMs <= atMs && atMs < entry.atMs + FRESH_FOR_MS;
      if (isColumns(entry.bodies) || isFresh) return true;
      if (!this.keyed.haveCome(entry.bodies, atMs)) return true;
      entry.resolve('duplicate-arrived');
      return false;
    });
  }

  /** Everything before this group is applied, so patches are merged with the items as they are. */
  private merged(entries: readonly Admitted[], isApplied: boolean): readonly Accepted[] {
    const { items, region } = this.options;
    return entries.flatMap((entry) => {
      const bodies =
        !isApplied && hasPatch(entry.bodies)
          ? new Refusal('overloaded', `${region} has not applied yet what it received; no item is changed meanwhile`)
          : mergePatches(items, region, entry.bodies);
      if (!(bodies instanceof Refusal)) return [{ ...entry, bodies }];
      entry.resolve(bodies);
      return [];
    });
  }

  /** The limits are exact for the same reason. */
  private withinStateLimit(entries: readonly Accepted[]): readonly Accepted[] {
    const refusals = this.options.stateLimit?.refusals(entries.map(({ bodies }) => bodies)) ?? [];
    return entries.filter((entry, index) => {
      const refusal = refusals[index];
      if (refusal !== undefined) entry.resolve(refusal);
      return refusal === undefined;
    });
  }

  private stampNow(): Stamp {
    return this.hlc.read(this.open === undefined ? 0 : this.options.wal.highestHlcOf(this.open.epoch));
  }

  /** This process's origin of the epoch, opened at its first write. */
  private async openOrigin(epoch: number): Promise<void> {
    const { wal, region, random, log } = this.options;
    const origin = `${region}@${randomName(random, 13)}`;
    await wal.openOrigin(origin, epoch);
    this.open = { origin, epoch };
    // The clock values of another epoch do not apply to this one.
    this.hlc = new HybridClock(this.options.clock);
    log.info('origin opened', { origin, epoch });
  }

  async drain(): Promise<Position> {
    while (!(await this.idle.until(() => !this.committing && this.queue.length === 0, 60_000))) {
      this.options.log.warn('writes still waiting for the flush', { waiting: this.waiting });
    }
    return new Map(this.options.wal.durable);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.signals.stop();
    await this.drain();
  }
}

function readOf({ key, of }: Retraction): string {
  return `${key?.id} ${of?.origin}:${of?.sequence}`;
}
