/** Observes leadership and regions, logs what changes, and passes it to the journal; operations add who asked, and how. */
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { covers, type Position, regionOf } from '../../../shared/protocol/position.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { LeadershipView, PromoteAnswer, RegionsView } from '../cluster/cluster.ts';
import { type ControlJournal, DONE } from './control-journal.ts';
import { type Asked, type HowLeading, JOURNAL_TEXT_LIMIT, type JournalDetails, type Journalist } from './journal.ts';
import type { StoredEntry } from './journal-record.ts';

export interface JournalObserverOptions {
  readonly journal: ControlJournal;
  readonly clock: Clock;
  readonly leadership: LeadershipView;
  readonly regions: RegionsView;
  /** Of the topology. */
  readonly names: readonly string[];
  readonly log: Log;
}

const LEADERSHIP = 'leadership';

export class JournalObserver implements Journalist {
  private readonly options: JournalObserverOptions;
  /** By subject: the state that was passed on last. */
  private readonly passed = new Map<string, string>();

  constructor(options: JournalObserverOptions) {
    this.options = options;
    options.leadership.onChange(() => this.lead());
  }

  /** Must be called with every status. */
  consider({ region, partitioned, clockMs, healAtMs, startedMs, version }: ReportedStatus): void {
    const { log } = this.options;
    const subject = `partition of ${region}`;
    const state = partitioned ? 'partitioned' : 'healed';
    const before = this.passed.get(subject);
    const healAt = healAtMs === undefined ? {} : { heal_at: new Date(healAtMs).toISOString() };
    if (before !== state) {
      if (partitioned) log.warn('region partitioned', { region, ...healAt });
      else if (before !== undefined) log.info('region healed', { region });
    }
    this.pass(subject, state, clockMs, { kind: state, region, ...healAt }, !partitioned);
    if (startedMs !== undefined) {
      const program = version === undefined ? {} : { version: shortened(version.program ?? 'unknown') };
      this.pass(`start of ${region}`, String(startedMs), startedMs, { kind: 'region_started', region, ...program });
    }
    this.lead();
    this.considerMerge();
  }

  /** A leader was changed by this router. */
  promoted({ leader, previous, epoch, left_behind: left }: PromoteAnswer, how: HowLeading, asked: Asked = {}): void {
    if (leader === previous) return;
    const details = { previous, how, ...(left === undefined ? {} : { left_behind: left }), ...asked };
    this.pass(LEADERSHIP, String(epoch), epoch, { kind: 'leader_changed', region: leader, epoch, ...details });
  }

  /** A region was partitioned or healed over this router. */
  switched(region: string, state: 'partitioned' | 'healed', asked: Asked): void {
    const order = this.options.regions.known(region)?.status.clockMs ?? 0;
    this.pass(`partition of ${region}`, state, order, { kind: state, region, ...asked }, state === 'healed');
  }

  /** An operator's action that is no state of a region. */
  acted(kind: 'disk_retired' | 'event_set_aside', what: string, asked: Asked): void {
    const { clock } = this.options;
    this.pass(
      `${kind} ${asked.request_id ?? ''} ${shortened(what).slice(0, 80)}`.slice(0, JOURNAL_TEXT_LIMIT),
      DONE,
      clock.nowMs(),
      {
        kind,
        what: shortened(what),
        ...asked,
      },
    );
  }

  private lead(): void {
    const record = this.options.leadership.current;
    if (record === undefined || record.handover !== undefined) return;
    const { leader: region, epoch } = record;
    this.pass(LEADERSHIP, String(epoch), epoch, { kind: 'leader_changed', region, epoch });
  }

  /** After a promotion without the former leader: whether every region has what was accepted there. */
  private considerMerge(): void {
    const { journal, log } = this.options;
    const change = journal.record.entries.findLast(({ how }) => how === 'forced' || how === 'automatic');
    if (change === undefined || !this.isMerged(change)) return;
    const { epoch = 0, previous } = change;
    const ended = journal.record.subjects.merge?.state;
    if (ended === String(epoch) || this.passed.get('merge') === String(epoch)) return;
    log.info('merge after promotion ended', { region: previous, epoch });
    this.pass('merge', String(epoch), epoch, {
      kind: 'merge_ended',
      epoch,
      ...(previous === undefined ? {} : { region: previous }),
    });
  }

  private isMerged({ previous }: StoredEntry): boolean {
    const { regions, names } = this.options;
    if (previous === undefined) return false;
    const known = names.map((name) => regions.known(name));
    const former = regions.known(previous)?.status;
    if (former === undefined || known.some((view) => view?.reachable !== true || view.status.partitioned)) return false;
    const own: Position = new Map([...former.durable].filter(([origin]) => regionOf(origin) === previous));
    return known.every((view) => view !== undefined && covers(view.status.durable, own));
  }

  private pass(subject: string, state: string, order: number, details: JournalDetails, isDefault = false): void {
    const { journal } = this.options;
    const isPlain = details.key === undefined && details.how === undefined;
    const recorded = journal.record.subjects[subject]?.state;
    // What another router recorded in between is corrected.
    const isKnown = journal.awaits(subject) || (recorded === undefined ? isDefault : recorded === state);
    if (isPlain && isKnown && this.passed.get(subject) === state) return;
    this.passed.set(subject, state);
    journal.observe({ subject, state, order, details, isDefault });
  }
}

function shortened(text: string): string {
  return text.slice(0, JOURNAL_TEXT_LIMIT);
}
