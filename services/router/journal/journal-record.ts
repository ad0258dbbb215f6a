/** The value of the journal's key in the control bucket, and its only parser. */
import { clip } from '../../../shared/errors/errors.ts';
import { JOURNAL_LIMIT, JOURNAL_TEXT_LIMIT, type JournalDetails } from './journal.ts';

export interface StoredEntry extends JournalDetails {
  readonly id: number;
  readonly atMs: number;
  readonly subject: string;
  readonly state: string;
}

export interface JournalRecord {
  /** Id of the newest entry; 0 before the first. */
  readonly newest: number;
  /** The newest state of each subject, also if its entry is no longer kept. */
  readonly subjects: Readonly<Record<string, { readonly state: string; readonly order: number }>>;
  /** The oldest first. */
  readonly entries: readonly StoredEntry[];
}

export const emptyJournal: JournalRecord = { newest: 0, subjects: {}, entries: [] };

/** Regions of a topology and disks that were retired. */
const SUBJECTS_LIMIT = 1_024;
/** Far above any count of entries, and far enough below the largest safe integer to count on. */
const ID_LIMIT = 1e12;
/** The largest time a `Date` holds. */
const TIME_LIMIT_MS = 8.64e15;

/** The record, or why the value is not one. */
export function parseJournal(value: unknown): JournalRecord | string {
  if (!isObject(value)) return 'it is not an object';
  const { newest, subjects, entries } = value;
  if (!Number.isSafeInteger(newest) || (newest as number) < 0 || (newest as number) > ID_LIMIT) {
    return 'newest is not a count';
  }
  if (!isObject(subjects) || Object.keys(subjects).length > SUBJECTS_LIMIT) return 'subjects are not states';
  for (const [subject, known] of Object.entries(subjects)) {
    if (isText(subject) && isObject(known) && isText(known.state) && isTime(known.order)) continue;
    return `the state of ${clip(subject)} is malformed`;
  }
  if (!Array.isArray(entries) || entries.length > JOURNAL_LIMIT)
    return `entries are not a list of at most ${JOURNAL_LIMIT}`;
  let former = 0;
  for (const entry of entries as readonly unknown[]) {
    const flaw = entryFlaw(entry, former, newest as number);
    if (flaw !== undefined) return `the entry after ${former} ${flaw}`;
    former = (entry as StoredEntry).id;
  }
  if (former !== newest) return 'newest is not the id of the last entry';
  return value as unknown as JournalRecord;
}

function entryFlaw(entry: unknown, former: number, newest: number): string | undefined {
  if (!isObject(entry)) return 'is not an object';
  const { id, atMs, kind, left_behind: left = null, epoch = 0, key = null, subject, state, ...texts } = entry;
  if (!Number.isSafeInteger(id) || (id as number) <= former || (id as number) > newest) return 'has no higher id';
  if (!isTime(atMs)) return 'has no time';
  // A later version may have kinds of its own.
  if (!isText(kind) || !isText(subject) || !isText(state)) return 'has no kind, subject or state';
  if (!(left === null || Number.isSafeInteger(left)) || !Number.isSafeInteger(epoch)) return 'has a malformed count';
  if (!(key === null || isText(key))) return 'has a malformed key name';
  const malformed = Object.entries(texts).find(([, text]) => !isText(text));
  return malformed === undefined ? undefined : `has a malformed ${clip(malformed[0])}`;
}

/** Epochs are smaller. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= TIME_LIMIT_MS;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= JOURNAL_TEXT_LIMIT;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
