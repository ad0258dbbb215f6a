/**
 * Changes the leader. A planned promotion loses nothing and fails no write (docs/architecture.md, section 7):
 *
 * 1. compare-and-set {leader: old, handover: {to, id}} on the revision just read;
 * 2. the old leader stops accepting and returns its final durable position;
 * 3. the target has it durable and applied;
 * 4. compare-and-set {leader: to, epoch + 1} on the revision of step 1.
 *
 * Roll-back, and the old leader's own resumption after 10 s, are compare-and-sets on that revision too: exactly one of commit and
 * resumption happens. After an error in a compare-and-set the key is read again and compared with our nonce.
 *
 * What a crash leaves: before 1 nothing; between 1 and 4 a handover that the old leader rolls back after 10 s and any promotion
 * after 15 s; after 4 the new leader.
 */
import { Fault, messageOf, Refusal } from '../../../shared/errors/errors.ts';
import { type Clock, type Random, randomName, sleep, within } from '../../../shared/kernel/kernel.ts';
import { nextEpoch } from '../../../shared/leadership/epochs.ts';
import type { Leadership } from '../../../shared/leadership/leadership.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { HANDOVER_ABANDONED_MS, HANDOVER_LIMIT_MS } from '../../../shared/protocol/deadlines.ts';
import { formatPosition, missing, type Position } from '../../../shared/protocol/position.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';
import type { Control, ControlEntry, Revision } from '../../../shared/stream/stream.ts';
import type { RegionLinks } from '../links/links.ts';
import type { LeadershipView, Promote, PromoteAnswer, PromoteRequest, RegionsView, Replace } from './cluster.ts';

/** How long after an error in a compare-and-set the key is read again. */
const LOOK_AGAIN_MS = 3_000;
const LOOK_PAUSE_MS = 100;
const REFRESH_LIMIT_MS = 1_000;

export interface PromotionOptions {
  readonly control: Control;
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  readonly links: RegionLinks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface Found {
  readonly record: Leadership;
  /** Whether a region other than the leader did not answer: it may know an epoch that no other region does. */
  readonly unresponsive: boolean;
  /** The regions that answered just before. */
  readonly heard: ReadonlySet<string>;
  readonly revision: Revision;
}

type Swapped = { readonly revision: Revision } | 'conflict' | 'unknown';

const kinds = ['planned', 'forced', 'automatic'] as const;

export class Promotion {
  private readonly options: PromotionOptions;
  private readonly outcomes;
  private underWay = false;
  /** When this process first saw the record's handover. */
  private handoverSeen: { readonly nonce: string; readonly atMs: number } | undefined;

  constructor(options: PromotionOptions) {
    this.options = options;
    this.outcomes = options.metrics.counter({
      name: 'tidal_router_promotions_total',
      help: 'Promotions asked of this router, by kind and outcome code.',
      labels: ['kind', 'outcome'],
      series: kinds.flatMap((kind) => ['ok', 'failed'].map((outcome) => ({ kind, outcome }))),
    });
    options.leadership.onChange(() => this.watchHandover(options.leadership.current));
  }

  readonly promote: Promote = (request) => this.alone(request.force ? 'forced' : 'planned', () => this.run(request));

  readonly replace: Replace = (judged, region, stillMine) =>
    this.alone('automatic', () => this.runAutomatic(judged, region, stillMine));

  private async alone<T>(kind: (typeof kinds)[number], run: () => Promise<T>): Promise<T> {
    if (this.underWay) throw inProgress('another one runs on this router');
    this.underWay = true;
    try {
      const answer = await run();
      this.outcomes.inc({ kind, outcome: answer === 'withdrawn' ? 'withdrawn' : 'ok' });
      return answer;
    } catch (error) {
      this.outcomes.inc({ kind, outcome: error instanceof Refusal ? error.code : 'failed' });
      throw error;
    } finally {
      this.underWay = false;
    }
  }

  private async run({ region, force }: PromoteRequest): Promise<PromoteAnswer> {
    const { clock } = this.options;
    const startMs = clock.monotonicMs();
    const found = await this.find();
    const { record } = found;
    const tookMs = (): number => Math.round(clock.monotonicMs() - startMs);
    if (record.handover !== undefined && !force) this.refuseUnlessAbandoned(record);
    if (record.leader === region) {
      await this.keepLeader(found);
      return { leader: region, previous: region, epoch: record.epoch, handed_over_events: 0, took_ms: tookMs() };
    }
    const target = await this.checkTarget(region, force, found);
    if (force) await this.lastAnswer(record.leader, found);
    this.refuseIfBehind(record);
    const moved = force
      ? await this.force(found, region, target)
      : await this.handOver(found, region, target as RegionView);
    await this.tellAll(moved.record);
    return {
      leader: region,
      previous: record.leader,
      epoch: moved.record.epoch,
      handed_over_events: moved.handedOver,
      took_ms: tookMs(),
      ...(moved.leftBehind === undefined ? {} : { left_behind: moved.leftBehind }),
    };
  }

  private async runAutomatic(judged: Leadership, region: string, stillMine: () => boolean) {
    const { clock, regions } = this.options;
    const startMs = clock.monotonicMs();
    const found = await this.find();
    const { record } = found;
    if (record.leader !== judged.leader || record.epoch !== judged.epoch) return 'withdrawn';
    // The router that began it finishes it, rolls it back, or is dead: then it expires.
    if (record.handover !== undefined && !this.abandoned()) return 'withdrawn';
    const target = await this.checkTarget(region, false, found);
    if ((await regions.ask(record.leader)) !== undefined || !stillMine()) return 'withdrawn';
    this.refuseIfBehind(record);
    const { record: next, leftBehind } = await this.force(found, region, target);
    await this.tellAll(next);
    return {
      leader: region,
      previous: record.leader,
      epoch: next.epoch,
      handed_over_events: 0,
      took_ms: Math.round(clock.monotonicMs() - startMs),
      left_behind: leftBehind,
    };
  }

  private async tellAll(record: Leadership): Promise<void> {
    const { clock, leadership, links } = this.options;
    leadership.adopt(record);
    const refreshed = [...links.values()].map((link) => link.refreshLeadership().catch(() => undefined));
    await within(clock, REFRESH_LIMIT_MS, Promise.all(refreshed), undefined);
  }

  private async find(): Promise<Found> {
    const { control, leadership } = this.options;
    const behind = (entry: ControlEntry | 'missing'): boolean =>
      entry === 'missing' || (leadership.parse(entry.value)?.epoch ?? 0) < leadership.highestEpoch;
    try {
      const heard = await this.hearAll();
      let entry = await control.read();
      if (behind(entry)) {
        await leadership.refresh();
        entry = await control.read();
      }
      const record = entry === 'missing' ? undefined : leadership.parse(entry.value);
      if (entry === 'missing') {
        throw new Refusal('no_leader', 'there is no leadership record yet: not every region has answered');
      }
      if (record === undefined) {
        throw new Refusal('control_unavailable', 'the leadership key does not hold a record of this cluster', {
          hint: 'GET /health says why; the key is repaired within 30 s; try again',
        });
      }
      this.refuseIfBehind(record);
      this.watchHandover(record);
      return {
        record,
        revision: entry.revision,
        heard,
        unresponsive: !this.names.every((name) => name === record.leader || heard.has(name)),
      };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new Refusal('control_unavailable', `the leadership key is unreadable: ${error.message}`);
    }
  }

  /** An older copy of the key was restored: regions ignore records based on it, and its epochs were used already. */
  private refuseIfBehind(record: Leadership): void {
    const { highestEpoch } = this.options.leadership;
    if (record.epoch >= highestEpoch) return;
    throw new Refusal(
      'control_unavailable',
      `the leadership key is at epoch ${record.epoch}, and a region knows epoch ${highestEpoch}`,
      { hint: 'the key is repaired within seconds; try again' },
    );
  }

  /** The regions that have reported their record now. A leader that is known to be unresponsive is not waited for. */
  private async hearAll(): Promise<ReadonlySet<string>> {
    const { regions, leadership } = this.options;
    const heard = new Set<string>();
    const ask = async (name: string): Promise<void> => {
      if (name === leadership.current?.leader && regions.known(name)?.reachable === false) return;
      if ((await regions.ask(name)) !== undefined) heard.add(name);
    };
    await Promise.all(this.names.map(ask));
    return heard;
  }

  private get names(): readonly string[] {
    return [...this.options.links.keys()];
  }

  private successor(leader: string, { record, unresponsive }: Found): Leadership {
    return this.next(leader, nextEpoch({ highest: record.epoch, unresponsive, leader, regions: this.names }));
  }

  private watchHandover(record: Leadership | undefined): void {
    if (record?.handover === undefined) this.handoverSeen = undefined;
    else if (this.handoverSeen?.nonce !== record.nonce) {
      this.handoverSeen = { nonce: record.nonce, atMs: this.options.clock.monotonicMs() };
    }
  }

  private refuseUnlessAbandoned(record: Leadership): void {
    if (!this.abandoned()) throw inProgress(`the leader hands over to ${record.handover?.to}`);
  }

  private abandoned(): boolean {
    const nowMs = this.options.clock.monotonicMs();
    return nowMs - (this.handoverSeen?.atMs ?? nowMs) >= HANDOVER_ABANDONED_MS;
  }

  /** Promoting the leader changes nothing, but rolls back an expired handover. */
  private async keepLeader({ record, revision }: Found): Promise<void> {
    if (record.handover === undefined) return this.options.leadership.adopt(record);
    const back = this.next(record.leader, record.epoch);
    if (typeof (await this.swap(back, revision)) !== 'object') throw inProgress('the record changed just now');
    this.options.leadership.adopt(back);
  }

  private async lastAnswer(region: string, { heard }: Found): Promise<RegionView | undefined> {
    const { regions } = this.options;
    return heard.has(region) ? regions.known(region) : regions.ask(region);
  }

  private async checkTarget(region: string, force: boolean, found: Found): Promise<RegionView | undefined> {
    const target = await this.lastAnswer(region, found);
    if (target === undefined) {
      if (force) return undefined;
      throw refusedUnlessForced('target_unreachable', `${region} does not answer`);
    }
    const { ready, stopped } = target.status;
    if (!ready || stopped?.code === 'schema_behind') {
      const why = stopped?.detail ?? 'it is still catching up after its start';
      throw new Refusal('target_not_ready', `${region} cannot lead: ${why}`, { hint: 'wait until it is ready' });
    }
    if (stopped !== undefined && !force) {
      throw refusedUnlessForced('target_not_ready', `${region} lacks what others hold: ${stopped.detail}`);
    }
    const { writeBlocker } = target.status;
    if (writeBlocker !== undefined && !force) {
      throw refusedUnlessForced('target_not_ready', `${region} would refuse writes: ${writeBlocker.detail}`);
    }
    if (target.status.partitioned && !force)
      throw refusedUnlessForced('target_partitioned', `${region} is partitioned`);
    return target;
  }

  private async force(found: Found, region: string, target: RegionView | undefined) {
    const { regions, log } = this.options;
    const { record } = found;
    const old = regions.known(record.leader);
    const next = this.successor(region, found);
    await this.commit(next, found.revision);
    const leftBehind =
      old === undefined || target === undefined ? null : missing(old.status.durable, target.status.durable);
    log.warn('leader changed by forced promotion', {
      from: record.leader,
      to: region,
      epoch: next.epoch,
      left_behind: leftBehind,
    });
    return { record: next, handedOver: 0, leftBehind };
  }

  private async handOver(found: Found, region: string, target: RegionView) {
    const { clock, links, leadership, log } = this.options;
    const { record } = found;
    const old = await this.lastAnswer(record.leader, found);
    const oldLink = links.get(record.leader);
    const targetLink = links.get(region);
    if (old === undefined || oldLink === undefined || targetLink === undefined) {
      throw refusedUnlessForced('leader_unreachable', `the leader ${record.leader} does not answer`);
    }
    const lacking = old.status.signals.filter((signal) => !target.status.signals.includes(signal));
    if (lacking.length > 0) {
      throw new Refusal('target_not_ready', `${region} cannot lead: its schema lacks ${lacking.join(', ')}`, {
        hint: `upgrade the schema of ${region} first; followers first, the leader last`,
      });
    }
    if (old.status.partitioned)
      throw refusedUnlessForced('leader_partitioned', `the leader ${record.leader} is partitioned`);

    const id = randomName(this.options.random, 16);
    const announced: Leadership = { ...this.next(record.leader, record.epoch), handover: { to: region, id } };
    const step = await this.swap(announced, found.revision);
    if (step === 'conflict') throw inProgress('the record changed just now');
    if (step === 'unknown') throw new Refusal('control_unavailable', 'the handover could not be announced');
    leadership.adopt(announced);

    const endMs = clock.monotonicMs() + HANDOVER_LIMIT_MS;
    const leftMs = (): number => Math.max(1, Math.ceil(endMs - clock.monotonicMs()));
    const next = this.successor(region, found);
    const handedOver = (final: Position) => {
      log.info('leader handed over', { from: record.leader, to: region, epoch: next.epoch });
      return { record: next, handedOver: missing(final, target.status.durable), leftBehind: undefined };
    };
    let final: Position = new Map();
    try {
      final = await oldLink.handover({ id }, leftMs());
      const { reached, applied } = await targetLink.await({ position: final, limitMs: leftMs() });
      if (!reached) {
        const [here, there] = [formatPosition(applied), formatPosition(final)];
        throw new Fault('not_reached', `${region} got to ${here || 'nothing'}, not to ${there}`);
      }
      await this.commit(next, step.revision);
      return handedOver(final);
    } catch (error) {
      await this.rollBack(record, step.revision, error);
      // The commit's acknowledgement may have been lost, and it may have landed before the roll-back.
      if (leadership.current?.nonce === next.nonce) return handedOver(final);
      if (!(error instanceof Fault || error instanceof Refusal)) throw error;
      throw new Refusal('handover_timeout', `the handover did not finish: ${error.message}`, {
        hint: 'GET /cluster/status names the leader; a leader stopped for the handover resumes within 10 s',
      });
    }
  }

  private async rollBack(record: Leadership, revision: Revision, cause: unknown): Promise<void> {
    const { leadership, log } = this.options;
    const back = this.next(record.leader, record.epoch);
    const result = await this.swap(back, revision);
    if (typeof result === 'object') leadership.adopt(back);
    else await leadership.refresh();
    log.warn('handover failed', { leader: record.leader, roll_back: result, detail: messageOf(cause) });
  }

  /** The last step. Throws unless the record is confirmed to be ours. */
  private async commit(next: Leadership, revision: Revision): Promise<void> {
    const result = await this.swap(next, revision);
    if (result === 'conflict') throw inProgress('the record changed before the last step');
    if (result === 'unknown') {
      throw new Refusal('outcome_unknown', 'the last step on the leadership key got no answer', {
        hint: 'GET /cluster/status names the leader',
      });
    }
  }

  /** Compare-and-set. After an error, or a conflict that may be our own attempt, the key is compared with our nonce. */
  private async swap(value: Leadership, revision: Revision): Promise<Swapped> {
    const { control, clock, log } = this.options;
    try {
      const result = await control.update(value, revision);
      if (result !== 'conflict') return result;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      log.warn('leadership key update timed out', { detail: error.message });
    }
    const endMs = clock.monotonicMs() + LOOK_AGAIN_MS;
    for (;;) {
      try {
        const entry = await control.read();
        if (entry === 'missing') return 'unknown';
        if (this.options.leadership.parse(entry.value)?.nonce === value.nonce) return { revision: entry.revision };
        if (entry.revision !== revision) return 'conflict';
        // Unchanged: the change was lost, or has not landed yet. Only a bounded wait decides.
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
      }
      if (clock.monotonicMs() >= endMs) return 'unknown';
      await sleep(clock, LOOK_PAUSE_MS);
    }
  }

  private next(leader: string, epoch: number): Leadership {
    return { leader, epoch, nonce: randomName(this.options.random, 16) };
  }
}

function inProgress(why: string): Refusal {
  return new Refusal('promotion_in_progress', `a promotion is in progress: ${why}`, {
    hint: 'see GET /cluster/status and try again when it has finished',
  });
}

function refusedUnlessForced(
  code: 'target_unreachable' | 'target_not_ready' | 'target_partitioned' | 'leader_unreachable' | 'leader_partitioned',
  detail: string,
): Refusal {
  return new Refusal(code, detail, {
    hint: '"force": true promotes it anyway; events that only the old leader has are merged when it returns',
  });
}
