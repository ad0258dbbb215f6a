/**
 * Runs a drill: the steady state must hold, then the steps are done while the abort conditions are observed, then everything is
 * undone, the steady state must hold again, and every write of the load is counted in every region.
 *
 * However it ends (the last step, an abort condition, the time limit, Ctrl+C, `tidal drill stop`), what was done is undone before it
 * returns. A process that is killed undoes nothing: partitions and processes have deadlines that the cluster keeps.
 */
import { messageOf } from '../../shared/errors/errors.ts';
import { type Clock, type Random, randomName, sleep } from '../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../shared/kernel/repeat.ts';
import { type Drill, flattened, needsProcesses, type Outcome, outcomes, roles, type Step } from './drill.ts';
import { LoadRun } from './load.ts';
import {
  changesOf,
  type DrillReport,
  lagPoints,
  latencyPoints,
  type Result,
  rounded,
  type TimelineEvent,
} from './report.ts';
import type { Processes, Surface } from './surface.ts';
import { Undo } from './undo.ts';
import { type Counted, countWrites } from './verdict.ts';
import { breaches, breachOf, type Measured, Watch } from './watch.ts';

const RENEW_MS = 5_000;
const LOOK_MS = 250;
/** Between two comparisons of the regions: each is work for all of them, and a line of the audit log. */
const COMPARE_MS = 2_000;
/** Regions are not compared while one lacks more events than this, unless the steady state accepts more. */
const COMPARE_LAG_EVENTS = 1_000;
/** Writes under a key are sent again for this long after the end, ms. */
const GIVE_UP_MS = 30_000;
/** Deadlines that the cluster keeps are later than the drill's own end by this, ms. */
const DEADLINE_MARGIN_MS = 60_000;
const HEAL_AFTER_LIMIT_MS = 24 * 3_600_000;
/** Where the ids of the items of loads begin: above those that clients choose. */
const FIRST_ENTITY = 2 ** 52;

export interface RunOptions {
  readonly drill: Drill;
  readonly surface: Surface;
  /** Absent: only what the HTTP surface can do. */
  readonly processes: Processes | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** One line for each event, as it happens. */
  readonly say: (line: string) => void;
  /** Aborted to end the drill; its reason is a sentence. */
  readonly signal: AbortSignal;
}

/** The drill cannot begin. */
class Unsteady extends Error {}

type SingleStep = Exclude<Step, { readonly do: 'repeat' }>;

export function runDrill(options: RunOptions): Promise<DrillReport> {
  return new DrillRun(options).run();
}

class DrillRun {
  private readonly options: RunOptions;
  private readonly id: string;
  private readonly startMs: number;
  private readonly startedAt: string;
  private readonly watch: Watch;
  private readonly events: TimelineEvent[] = [];
  /** Why the result is not `held`. */
  private readonly reasons: string[] = [];
  private readonly ending = new AbortController();
  private readonly roles = new Map<string, string>();
  private regions: readonly string[] = [];
  private load: LoadRun | undefined;
  private undo: Undo | undefined;
  private before: Measured | undefined;
  private after: Measured | undefined;
  private counted: Counted | undefined;
  private firstFaultMs: number | undefined;
  private lastFaultMs = 0;
  private convergedMs: number | undefined;

  constructor(options: RunOptions) {
    this.options = options;
    const { clock, random, surface } = options;
    this.id = randomName(random, 13);
    this.startMs = clock.monotonicMs();
    this.startedAt = new Date(clock.nowMs()).toISOString();
    this.watch = new Watch({ surface, clock });
  }

  async run(): Promise<DrillReport> {
    const { drill, surface, clock, signal } = this.options;
    const abort = (): void => this.abort(String(signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    let lease: Repetition | undefined;
    const limit = clock.after(drill.limitMs, () =>
      this.abort(`the time limit of ${drill.limitMs / 1_000} s was reached`),
    );
    try {
      if ((await this.holdLease()) !== 'held') throw new Unsteady('the lease of drills was taken away at once');
      lease = repeat({ clock, pauseMs: RENEW_MS, action: () => this.renewLease() });
      await this.prepare();
      await this.beSteady();
      await this.steps();
      limit.cancel();
      await this.finish();
      return this.report(this.ending.signal.aborted ? 'aborted' : this.reasons.length > 0 ? 'deviated' : 'held');
    } catch (error) {
      if (!(error instanceof Unsteady)) throw error;
      this.reasons.push(error.message);
      await this.load?.stop(0);
      return this.report(this.ending.signal.aborted ? 'aborted' : 'could_not_run');
    } finally {
      limit.cancel();
      signal.removeEventListener('abort', abort);
      await this.load?.stop(0);
      await this.watch.stop();
      await lease?.stop();
      if (lease !== undefined) await surface.endLease(this.id).catch(() => {});
    }
  }

  private abort(reason: string): void {
    if (this.ending.signal.aborted) return;
    this.reasons.push(reason);
    this.note(`aborted: ${reason}`);
    this.ending.abort();
  }

  private note(text: string): void {
    const at_ms = Math.round(this.options.clock.monotonicMs() - this.startMs);
    this.events.push({ at_ms, text });
    this.options.say(`${(at_ms / 1_000).toFixed(1).padStart(7)} s  ${text}`);
  }

  private async holdLease(): Promise<'held' | 'ended'> {
    try {
      return await this.options.surface.holdLease({ id: this.id, title: this.options.drill.title });
    } catch (error) {
      throw new Unsteady(messageOf(error));
    }
  }

  private async renewLease(): Promise<void> {
    try {
      const answer = await this.options.surface.holdLease({ id: this.id, title: this.options.drill.title });
      if (answer === 'ended') this.abort('the drill was stopped, or its lease has expired');
    } catch {
      // The broker may be what the drill has stopped: the lease is extended when it is back.
    }
  }

  /** Whether the cluster is what the drill was written for. Throws `Unsteady`. */
  private async prepare(): Promise<void> {
    const { drill, surface, processes, clock } = this.options;
    const status = await surface.status().catch((error: unknown) => {
      throw new Unsteady(messageOf(error));
    });
    const { leader, regions, failover } = status;
    this.regions = regions.map(({ name }) => name);
    if (leader === null) throw new Unsteady('no region leads');
    if (regions.length < drill.regions)
      throw new Unsteady(`the drill needs ${drill.regions} regions, and the cluster has ${regions.length}`);
    if (drill.automaticFailover && failover !== 'automatic')
      throw new Unsteady('the drill needs automatic failover: failover: automatic in the topology');
    if (needsProcesses(drill) && processes === undefined)
      throw new Unsteady('the drill stops processes: it needs --target local or --target compose');
    const partitioned = regions.filter((region) => region.partitioned === true).map(({ name }) => name);
    if (partitioned.length > 0) throw new Unsteady(`partitioned already: ${partitioned.join(', ')}`);
    const followers = this.regions.filter((name) => name !== leader);
    for (const [index, name] of [leader, ...followers].entries())
      if (index < roles.length) this.roles.set(roles[index]!, name);
    for (const step of flattened(drill.steps)) {
      if ('region' in step) this.regionOf(step.region);
      if ('process' in step) this.processOf(step.process);
    }
    this.undo = new Undo({ surface, processes, clock, leader, note: (text) => this.note(text) });
  }

  private regionOf(name: string): string {
    const region = this.roles.get(name) ?? name;
    if (this.regions.includes(region)) return region;
    throw new Unsteady(`there is no region "${name}"; known: ${[...this.regions, ...roles].join(', ')}`);
  }

  private processOf(name: string): string {
    return name === 'router' || name === 'nats' ? name : this.regionOf(name);
  }

  /** The hypothesis, before anything is done to the cluster. Throws `Unsteady`. */
  private async beSteady(): Promise<void> {
    const { drill, clock } = this.options;
    this.watch.start();
    this.startLoad();
    this.note(`observing the steady state for ${drill.observeMs / 1_000} s`);
    await sleep(clock, drill.observeMs, this.ending.signal);
    if (this.ending.signal.aborted) throw new Unsteady('nothing was done to the cluster');
    this.before = this.watch.measure(drill.observeMs, this.load);
    const not = await this.unsteady(this.before);
    if (not.length > 0) {
      const failures = [...(this.load?.failures ?? [])].map(([code, times]) => `${times} requests failed with ${code}`);
      throw new Unsteady(`the steady state does not hold, nothing was done: ${[...not, ...failures].join('; ')}`);
    }
    this.note('the steady state holds');
  }

  private startLoad(): void {
    const { drill, surface, clock, random } = this.options;
    if (drill.load === undefined) return;
    // 32 random bits with distance for the items of one drill: no two drills write to the same items.
    const firstEntity = FIRST_ENTITY + new DataView(random.bytes(4).slice().buffer).getUint32(0) * 2 ** 20;
    this.load = new LoadRun({ load: drill.load, surface, clock, random, firstEntity });
  }

  /** Why the steady state does not hold. */
  private async unsteady(measured: Measured): Promise<string[]> {
    const { steady } = this.options.drill;
    const not = breaches(steady.bounds, measured, { known: true });
    if (not.length > 0 || !steady.converged) return not;
    const why = await this.differences();
    return why === undefined ? [] : [why];
  }

  /** Undefined if all regions agree. */
  private async differences(): Promise<string | undefined> {
    try {
      const { converged, reason } = await this.options.surface.verify();
      if (converged === true) return undefined;
      return `the regions ${converged === false ? 'differ' : 'could not be compared'}${reason === undefined ? '' : `: ${reason}`}`;
    } catch (error) {
      return messageOf(error);
    }
  }

  private async steps(): Promise<void> {
    const { drill, clock } = this.options;
    const guard = repeat({
      clock,
      pauseMs: LOOK_MS,
      action: async () => {
        const [first] = breaches(drill.abort, this.watch.measure(drill.observeMs, this.load), { known: false });
        if (first !== undefined) this.abort(`abort condition: ${first}`);
      },
    });
    let leaderBefore = this.roles.get('leader')!;
    for (const [index, step] of flattened(drill.steps).entries()) {
      if (this.ending.signal.aborted) break;
      if (step.do !== 'wait') leaderBefore = this.watch.last?.leader ?? leaderBefore;
      try {
        await this.step(step, leaderBefore);
      } catch (error) {
        this.abort(`step ${index + 1}, ${nameOf(step)}: ${messageOf(error)}`);
      }
    }
    await guard.stop();
  }

  /** A request is not interrupted: what it does has to be undone after it. */
  private async step(step: SingleStep, leaderBefore: string): Promise<void> {
    const { surface, clock } = this.options;
    const processes = this.options.processes!;
    const undo = this.undo!;
    const deadlineMs = Math.min(HEAL_AFTER_LIMIT_MS, this.leftMs + DEADLINE_MARGIN_MS);
    const fault = (): void => {
      this.firstFaultMs ??= clock.monotonicMs();
    };
    const away = async (process: string, how: 'kill' | 'pause' | 'stop', ms = deadlineMs): Promise<void> => {
      fault();
      undo.away.add(process);
      await processes[how](process, ms);
      this.note(`${process} ${{ kill: 'killed', pause: 'paused', stop: 'stopped' }[how]}`);
    };
    switch (step.do) {
      case 'partition': {
        const region = this.regionOf(step.region);
        fault();
        undo.partitioned.add(region);
        await surface.partition(region, step.healAfterMs ?? deadlineMs);
        this.note(`${region} partitioned`);
        return;
      }
      case 'heal': {
        const region = this.regionOf(step.region);
        await surface.heal(region, step.wait);
        undo.partitioned.delete(region);
        this.faultEnded();
        this.note(`${region} healed${step.wait ? ', both sides have caught up' : ''}`);
        return;
      }
      case 'promote': {
        const region = this.regionOf(step.region);
        await surface.promote(region, step.force);
        this.note(`${region} promoted${step.force ? ' by force' : ''}`);
        return;
      }
      case 'wait':
        return this.wait(step, leaderBefore);
      case 'verify': {
        const why = await this.differences();
        if (why !== undefined) this.reasons.push(`verify: ${why}`);
        this.note(why === undefined ? 'all regions agree' : `verify: ${why}`);
        return;
      }
      case 'kill':
      case 'pause':
        return away(this.processOf(step.process), step.do, step.ms);
      case 'stop-nats':
        return away('nats', 'stop', step.ms);
      case 'start': {
        const process = this.processOf(step.process);
        await processes.start(process);
        undo.away.delete(process);
        this.faultEnded();
        this.note(`${process} started`);
        return;
      }
      case 'restart': {
        const process = this.processOf(step.process);
        fault();
        undo.away.add(process);
        await processes.restart(process);
        undo.away.delete(process);
        this.faultEnded();
        this.note(`${process} restarted`);
        return;
      }
      case 'wipe-nats':
        fault();
        undo.away.add('nats');
        await processes.wipeNats();
        undo.away.delete('nats');
        this.faultEnded();
        this.note('NATS wiped and started');
    }
  }

  /** Until the time limit. */
  private get leftMs(): number {
    return Math.max(0, this.startMs + this.options.drill.limitMs - this.options.clock.monotonicMs());
  }

  private faultEnded(): void {
    this.lastFaultMs = this.options.clock.monotonicMs();
    this.convergedMs = undefined;
  }

  private async wait({ ms, until }: SingleStep & { readonly do: 'wait' }, leaderBefore: string): Promise<void> {
    const { clock } = this.options;
    const { signal } = this.ending;
    if (until === undefined) return sleep(clock, ms, signal);
    const beganMs = clock.monotonicMs();
    const endMs = beganMs + ms;
    const agreed = this.agreement();
    const holds = async (): Promise<boolean> => {
      const { last } = this.watch;
      if (until === 'converged') return agreed(clock.monotonicMs() >= endMs);
      if (last === undefined || last.atMs < beganMs) return false;
      if (until === 'healthy') return last.health === 'ok';
      return last.leader !== null && last.leader !== leaderBefore;
    };
    while (!signal.aborted) {
      if (await holds()) {
        if (until === 'converged') this.convergedMs ??= clock.monotonicMs();
        return this.note(until);
      }
      if (clock.monotonicMs() >= endMs) {
        this.reasons.push(`${until} was not reached within ${ms / 1_000} s`);
        return this.note(`not reached: ${until}`);
      }
      await sleep(clock, LOOK_MS, signal);
    }
  }

  /** Undoes, waits for the steady state, counts. */
  private async finish(): Promise<void> {
    const { drill, clock } = this.options;
    const undo = this.undo!;
    if (undo.away.size + undo.partitioned.size > 0) {
      await undo.faults();
      this.faultEnded();
    }
    const endMs = clock.monotonicMs() + drill.recoverWithinMs;
    const convergedBefore = await this.converge(endMs);
    this.convergedMs ??= convergedBefore ? clock.monotonicMs() : undefined;
    await undo.leadership();
    if (!this.ending.signal.aborted) await this.recover(endMs);
    await this.load?.stop(GIVE_UP_MS);
    if (!(await this.converge(clock.monotonicMs() + drill.recoverWithinMs)))
      this.reasons.push(
        `the regions did not converge within ${drill.recoverWithinMs / 1_000} s: ${await this.differences()}`,
      );
    if (this.load !== undefined && drill.load !== undefined) await this.count(this.load, drill.load.signal);
    this.judge();
  }

  /** The items are removed also when counting fails: some or all of them may have been put. */
  private async count({ entities, writes }: LoadRun, signal: string): Promise<void> {
    const { drill, surface, clock } = this.options;
    if (entities.length === 0) return;
    this.note(`items ${entities[0]} to ${entities.at(-1)} are put to count the writes, and removed afterwards`);
    try {
      await surface.putItems(entities, drill.title);
      await this.converge(clock.monotonicMs() + drill.recoverWithinMs);
      this.counted = await countWrites({ surface, regions: this.regions, writes, signal });
    } catch (error) {
      this.reasons.push(`the writes could not be counted: ${messageOf(error)}`);
    } finally {
      await this.undo!.items(entities);
    }
  }

  /** False after `endMs`. */
  private async converge(endMs: number): Promise<boolean> {
    const { clock } = this.options;
    const agreed = this.agreement();
    for (;;) {
      const isLast = clock.monotonicMs() >= endMs;
      if (await agreed(isLast)) return true;
      if (isLast) return false;
      await sleep(clock, LOOK_MS);
    }
  }

  /**
   * Whether all regions agree, to be asked again and again: they are compared when the last poll saw none far behind, and not too
   * often. `now`: in any case.
   */
  private agreement(): (now: boolean) => Promise<boolean> {
    const { clock, drill } = this.options;
    const lag = Math.max(drill.steady.bounds.lag_events?.max ?? 0, COMPARE_LAG_EVENTS);
    let nextMs = clock.monotonicMs();
    return async (now) => {
      const { together, lag_events } = this.watch.last ?? { together: false, lag_events: null };
      const isLikely = together && lag_events !== null && lag_events <= lag;
      if (!now && (!isLikely || clock.monotonicMs() < nextMs)) return false;
      const why = await this.differences();
      nextMs = clock.monotonicMs() + COMPARE_MS;
      return why === undefined;
    };
  }

  private async recover(endMs: number): Promise<void> {
    const { drill, clock } = this.options;
    const { signal } = this.ending;
    for (;;) {
      await sleep(clock, Math.max(drill.observeMs, COMPARE_MS), signal);
      if (signal.aborted) return;
      this.after = this.watch.measure(drill.observeMs, this.load);
      const not = await this.unsteady(this.after);
      if (not.length === 0) return this.note('the steady state holds again');
      if (clock.monotonicMs() < endMs) continue;
      this.reasons.push(`the steady state did not return within ${drill.recoverWithinMs / 1_000} s: ${not.join('; ')}`);
      return this.note('the steady state has not returned');
    }
  }

  private get outcome(): Readonly<Record<Outcome, number | null>> {
    const { firstFaultMs } = this;
    const base = this.watch.observed.findLast(({ atMs }) => atMs < (firstFaultMs ?? 0));
    const detected = this.watch.observed.find(
      ({ atMs, health, leader }) =>
        firstFaultMs !== undefined && atMs >= firstFaultMs && (health !== base?.health || leader !== base?.leader),
    );
    return {
      failed_writes: this.counted?.failed ?? null,
      time_to_detect_ms: detected === undefined ? null : Math.round(detected.atMs - firstFaultMs!),
      time_to_converge_ms:
        this.lastFaultMs === 0 || this.convergedMs === undefined
          ? null
          : Math.max(0, Math.round(this.convergedMs - this.lastFaultMs)),
      worst_write_ms: this.load === undefined ? null : Math.round(this.load.worstWriteMs),
    };
  }

  private judge(): void {
    const { reasons, counted, undo } = this;
    reasons.push(...undo!.left);
    const { outcome } = this;
    for (const name of Object.keys(outcomes) as Outcome[]) {
      const bound = this.options.drill.expect[name];
      const breach = bound === undefined ? undefined : breachOf(name, bound, outcome[name]);
      if (breach !== undefined) reasons.push(breach);
    }
    if (counted === undefined) return;
    const { lost, doubled, refused_but_counted: refused } = counted;
    if (lost > 0) reasons.push(`${lost} acknowledged writes are lost`);
    if (doubled > 0) reasons.push(`${doubled} writes count more than once`);
    if (refused > 0) reasons.push(`${refused} writes were refused, and count`);
    this.note(`${counted.acknowledged} acknowledged, ${counted.failed} failed, ${lost} lost, ${doubled} doubled`);
  }

  private report(result: Result): DrillReport {
    const { drill, clock } = this.options;
    const { startMs, load, watch } = this;
    const shown = (measured: Measured | undefined): Measured | null =>
      measured === undefined
        ? null
        : (Object.fromEntries(Object.entries(measured).map(([name, value]) => [name, rounded(value)])) as Measured);
    const events = [...this.events, ...changesOf(watch.observed, startMs)].sort((a, b) => a.at_ms - b.at_ms);
    return {
      title: drill.title,
      why: drill.why,
      id: this.id,
      started_at: this.startedAt,
      took_ms: Math.round(clock.monotonicMs() - startMs),
      result,
      reasons: this.reasons,
      writes: this.counted ?? null,
      outcome: this.outcome,
      before: shown(this.before),
      after: shown(this.after),
      failures: Object.fromEntries(load?.failures ?? []),
      left: this.undo?.left ?? [],
      events,
      lag: lagPoints(watch.observed, startMs),
      latency: latencyPoints(load?.samples ?? [], startMs),
      drill,
    };
  }
}

/** A step in a sentence: `partition eu-west`. */
export function nameOf(step: Step): string {
  const named = 'region' in step ? step.region : 'process' in step ? step.process : undefined;
  return named === undefined ? step.do : `${step.do} ${named}`;
}
