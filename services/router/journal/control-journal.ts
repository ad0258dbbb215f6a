/** The journal in a key of the control bucket. See `journal.ts`. */
import { Fault } from '../../../shared/errors/errors.ts';
import { type Clock, within } from '../../../shared/kernel/kernel.ts';
import { type Repetition, repeat } from '../../../shared/kernel/repeat.ts';
import type { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { POLL_MS } from '../../../shared/protocol/deadlines.ts';
import type { Control, Revision } from '../../../shared/stream/stream.ts';
import {
  JOURNAL_LIMIT,
  type Journal,
  type JournalAnswer,
  type JournalDetails,
  type JournalRequest,
} from './journal.ts';
import { emptyJournal, type JournalRecord, parseJournal } from './journal-record.ts';

/** Changes that wait for the control bucket. */
const WAITING_LIMIT = 256;
/** An answer does not wait longer for the broker. */
const READ_LIMIT_MS = 500;
/** Another router writes too: attempts at once, before the next one a second later. */
const ATTEMPTS = 5;

/** How far a router may lag behind another one. A state that is older still is of a clock that was set back. */
const LAG_MS = 60_000;

/** The state of an action, which has no other. */
export const DONE = 'done';

/** A state of a subject. */
export interface Observed {
  /** `leadership`, or `partition of us-east`. */
  readonly subject: string;
  readonly state: string;
  /** Orders the states of a subject: an epoch, or the region's clock in epoch ms. */
  readonly order: number;
  readonly details: JournalDetails;
  /** True: it is what holds without a record, and is recorded only as the end of another state. */
  readonly isDefault?: boolean;
}

export interface ControlJournalOptions {
  readonly key: Control;
  readonly clock: Clock;
  readonly log: Log;
  readonly refusals: Pick<RefusedValues, 'ignore'>;
}

export class ControlJournal implements Journal {
  private readonly options: ControlJournalOptions;
  private waiting: Observed[] = [];
  private last: JournalRecord = emptyJournal;
  private loop: Repetition | undefined;
  private writing: Promise<void> | undefined;
  private stopping = false;

  constructor(options: ControlJournalOptions) {
    this.options = options;
  }

  start(): void {
    // Read again although nothing happened: it is written again if it was lost, or its secret is being replaced.
    this.loop ??= repeat({ clock: this.options.clock, pauseMs: POLL_MS, action: () => this.write() });
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.loop?.stop();
    await this.writing;
  }

  /** What was recorded when it was last read. */
  get record(): JournalRecord {
    return this.last;
  }

  /** Whether a state of the subject waits to be recorded. */
  awaits(subject: string): boolean {
    return this.waiting.some((one) => one.subject === subject);
  }

  observe(observed: Observed): void {
    this.waiting.push(observed);
    if (this.waiting.length > WAITING_LIMIT) this.waiting.shift();
    if (!this.stopping) void this.write();
  }

  async list({ limit, after }: JournalRequest): Promise<JournalAnswer> {
    const reading = this.read().then(
      () => true,
      (error: unknown) => {
        if (error instanceof Fault) return false;
        throw error;
      },
    );
    const isRead = await within(this.options.clock, READ_LIMIT_MS, reading, false);
    const events = this.last.entries.filter(({ id }) => id > after).slice(-limit);
    return {
      events: events
        .map(({ id, atMs, subject, state, ...details }) => ({ id, at: new Date(atMs).toISOString(), ...details }))
        .reverse(),
      ...(isRead ? {} : { stale: true }),
    };
  }

  /** Takes over what is stored, unless this router knows more: `isBehind`, and then it is to be written again. */
  private async read(): Promise<{ readonly revision: Revision | undefined; readonly isBehind: boolean }> {
    const { key, refusals } = this.options;
    const entry = await key.read();
    const parsed = entry === 'missing' ? emptyJournal : parseJournal(entry.value);
    if (entry !== 'missing' && typeof parsed === 'string') refusals.ignore('the journal key', entry.value, parsed);
    const isBehind = typeof parsed === 'string' ? this.last.newest > 0 : parsed.newest < this.last.newest;
    if (typeof parsed !== 'string' && !isBehind) this.last = parsed;
    if (entry === 'missing') return { revision: undefined, isBehind };
    return { revision: entry.revision, isBehind: isBehind || entry.renew === true };
  }

  private write(): Promise<void> {
    this.writing ??= this.attempt().finally(() => {
      this.writing = undefined;
    });
    return this.writing;
  }

  private async attempt(): Promise<void> {
    const { key, clock, log } = this.options;
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const { revision, isBehind } = await this.read();
        const waiting = [...this.waiting];
        const next = waiting.reduce((record, observed) => noted(record, observed, clock.nowMs()), this.last);
        if (next !== this.last || isBehind) {
          const written = revision === undefined ? await key.create(next) : await key.update(next, revision);
          if (written === 'conflict') continue;
          this.last = next;
        }
        this.waiting = this.waiting.filter((observed) => !waiting.includes(observed));
        if (this.waiting.length === 0) return;
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      // Of an answer that was lost: the next attempt finds the entry, and changes nothing.
      log.debug('journal not written yet', { waiting: this.waiting.length, error: error.message });
    }
  }
}

/** The record with what was observed; the same record if that is known or older. */
export function noted(record: JournalRecord, observed: Observed, nowMs: number): JournalRecord {
  const { subject, state, order, details, isDefault = false } = observed;
  const known = record.subjects[subject];
  if (known?.state === state) return amended(record, observed, nowMs);
  const isOlder = known !== undefined && order < known.order && known.order - order < LAG_MS;
  if (known === undefined ? isDefault : isOlder) return record;
  const entry = { id: record.newest + 1, atMs: nowMs, subject, state, ...details };
  const entries = [...record.entries, entry].slice(-JOURNAL_LIMIT);
  return {
    newest: entry.id,
    subjects: remembered({ ...record.subjects, [subject]: { state, order } }, entries),
    entries,
  };
}

/** An action is remembered as long as its entry is kept, states of regions for ever: there are as many as regions. */
function remembered(subjects: JournalRecord['subjects'], entries: JournalRecord['entries']): JournalRecord['subjects'] {
  const kept = new Set(entries.map(({ subject }) => subject));
  return Object.fromEntries(
    Object.entries(subjects).filter(([subject, { state }]) => state !== DONE || kept.has(subject)),
  );
}

/**
 * Details that are there already stay: the router that made the change knows them, others see it only. Those of a request that
 * came long after the change, and changed nothing, are not its details.
 */
function amended(record: JournalRecord, { subject, state, details }: Observed, nowMs: number): JournalRecord {
  const index = record.entries.findLastIndex((entry) => entry.subject === subject);
  const entry = record.entries[index];
  if (entry === undefined || entry.state !== state || Math.abs(nowMs - entry.atMs) >= LAG_MS) return record;
  const isNew = Object.keys(details).some((name) => !(name in entry));
  if (!isNew) return record;
  return { ...record, entries: record.entries.with(index, { ...details, ...entry }) };
}
