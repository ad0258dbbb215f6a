/** The journal: one entry of one change, by however many routers it is observed, and also if its key fails. */
import assert from 'node:assert/strict';
import { ControlJournal, noted, type Observed } from '../../../../services/router/journal/control-journal.ts';
import { JOURNAL_LIMIT } from '../../../../services/router/journal/journal.ts';
import { emptyJournal, type JournalRecord, parseJournal } from '../../../../services/router/journal/journal-record.ts';
import { ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';
import { MemoryControl } from '../../../harness/stream/memory-control.ts';

const partitioned = (order: number, more: Partial<Observed['details']> = {}): Observed => ({
  subject: 'partition of eu-west',
  state: 'partitioned',
  order,
  details: { kind: 'partitioned', region: 'eu-west', ...more },
});
const healed = (order: number): Observed => ({
  subject: 'partition of eu-west',
  state: 'healed',
  order,
  details: { kind: 'healed', region: 'eu-west' },
  isDefault: true,
});
const recordOf = (...observed: readonly Observed[]): JournalRecord =>
  observed.reduce((record, each) => noted(record, each, 1_000), emptyJournal);
const kinds = (record: JournalRecord) => record.entries.map(({ kind }) => kind);

describe('what is noted in the journal', () => {
  it('each change of a state once; what holds without a record only as the end of another state', () => {
    assert.deepEqual(kinds(recordOf(healed(1))), []);
    assert.deepEqual(kinds(recordOf(healed(1), partitioned(2), partitioned(3), healed(4), healed(5), partitioned(6))), [
      'partitioned',
      'healed',
      'partitioned',
    ]);
  });

  it('nothing of an older state that a slower router observed', () => {
    const record = recordOf(partitioned(2), healed(4));
    assert.equal(noted(record, partitioned(3), 1_000), record);
    assert.deepEqual(kinds(noted(record, partitioned(5), 1_000)), ['partitioned', 'healed', 'partitioned']);
  });

  it('a state of a region whose clock was set back, which is no router that lags', () => {
    const ahead = recordOf(partitioned(10_000_000));
    assert.equal(noted(ahead, healed(9_999_000), 1_000), ahead);
    assert.deepEqual(kinds(noted(ahead, healed(1_000_000), 1_000)), ['partitioned', 'healed']);
  });

  it('details that were not known before are added to the entry of the same state; known ones stay', () => {
    const record = recordOf(
      partitioned(2),
      partitioned(2, { key: 'ops' }),
      partitioned(2, { key: null, heal_at: 'soon' }),
    );
    assert.deepEqual(record.entries, [
      {
        ...{ id: 1, atMs: 1_000, subject: 'partition of eu-west', state: 'partitioned' },
        ...{ kind: 'partitioned', region: 'eu-west', key: 'ops', heal_at: 'soon' },
      },
    ]);
    const late = noted(record, partitioned(2, { request_id: 'late' }), 100_000);
    assert.equal(late, record, 'a request that changed nothing, long after');
    const later = noted(record, healed(3), 1_000);
    assert.equal(noted(later, healed(3), 2_000), later);
  });

  it('as many entries as fit; actions without an entry are forgotten, states of regions are not', () => {
    let record = recordOf(partitioned(2));
    for (let n = 0; n < JOURNAL_LIMIT + 10; n++) {
      const observed = { subject: `disk_retired ${n}`, state: 'done', order: n } as const;
      record = noted(record, { ...observed, details: { kind: 'disk_retired', what: `${n}` } }, 1_000);
    }
    assert.equal(record.entries.length, JOURNAL_LIMIT);
    assert.equal(record.newest, JOURNAL_LIMIT + 11);
    assert.equal(Object.keys(record.subjects).length, JOURNAL_LIMIT + 1);
    assert.equal(noted(record, partitioned(3), 1_000), record);
    assert.deepEqual(parseJournal(JSON.parse(JSON.stringify(record))), record);
  });
});

describe('the value of the journal key', () => {
  it('is read as it was written', () => {
    const record = recordOf(partitioned(2, { key: null, request_id: 'abc' }), healed(3));
    assert.deepEqual(parseJournal(JSON.parse(JSON.stringify(record))), record);
  });

  const [entry] = recordOf(partitioned(2)).entries;
  for (const [what, value] of Object.entries<unknown>({
    null: null,
    'a list': [],
    'no count': { newest: 'x', subjects: {}, entries: [] },
    'a state without an order': { newest: 0, subjects: { a: { state: 'x' } }, entries: [] },
    'a count that cannot go on': { newest: Number.MAX_SAFE_INTEGER, subjects: {}, entries: [] },
    'an order that is no time': { newest: 0, subjects: { a: { state: 'x', order: 1e300 } }, entries: [] },
    'a newest id without its entry': { newest: 7, subjects: {}, entries: [] },
    'more entries than are kept': {
      newest: 1,
      subjects: {},
      entries: Array.from({ length: JOURNAL_LIMIT + 1 }, () => null),
    },
    'no list of entries': { newest: 0, subjects: {}, entries: {} },
    'an entry of null': { newest: 1, subjects: {}, entries: [null] },
    'an id above the newest': { newest: 0, subjects: {}, entries: [entry] },
    'an id twice': { newest: 1, subjects: {}, entries: [entry, entry] },
    'a time that is none': { newest: 1, subjects: {}, entries: [{ ...entry, atMs: 1e300 }] },
    'a long text': { newest: 1, subjects: {}, entries: [{ ...entry, what: 'x'.repeat(129) }] },
    'a region that is no text': { newest: 1, subjects: {}, entries: [{ ...entry, region: { toString: 1 } }] },
    'an epoch that is no number': { newest: 1, subjects: {}, entries: [{ ...entry, epoch: '1' }] },
    'a key that is no name': { newest: 1, subjects: {}, entries: [{ ...entry, key: 5 }] },
  })) {
    it(`is refused: ${what}`, () => assert.equal(typeof parseJournal(value), 'string'));
  }
});

describe('the journal', () => {
  let clock: ManualClock;
  let key: MemoryControl;
  const open = (): ControlJournal => {
    const journal = new ControlJournal({ key, clock, log: silentLog, refusals: { ignore() {} } });
    journal.start();
    opened.push(journal);
    return journal;
  };
  let opened: ControlJournal[];
  const listed = async (journal: ControlJournal) =>
    (await journal.list({ limit: 50, after: 0 })).events.map(({ id, kind }) => [id, kind]);

  beforeEach(() => {
    clock = new ManualClock();
    key = new MemoryControl();
    opened = [];
  });
  afterEach(() => clock.run(Promise.all(opened.map((journal) => journal.stop()))));

  it('two routers that observe the same make one entry, and see each other’s', async () => {
    const [one, two] = [open(), open()];
    one.observe(partitioned(1));
    two.observe(partitioned(1));
    await settle();
    two.observe(healed(2));
    one.observe(healed(2));
    await settle();
    for (const journal of [one, two])
      assert.deepEqual(await listed(journal), [
        [2, 'healed'],
        [1, 'partitioned'],
      ]);
  });

  it('without NATS changes wait, and what is listed is named stale', async () => {
    const journal = open();
    journal.observe(partitioned(1));
    await settle();
    key.away = true;
    journal.observe(healed(2));
    await settle();
    assert.deepEqual(
      [await listed(journal), (await journal.list({ limit: 1, after: 0 })).stale],
      [[[1, 'partitioned']], true],
    );
    key.away = false;
    await clock.advance(2_000);
    assert.deepEqual(await listed(journal), [
      [2, 'healed'],
      [1, 'partitioned'],
    ]);
    assert.equal((await journal.list({ limit: 1, after: 0 })).stale, undefined);
  });

  it('does not wait for a broker that hangs', async () => {
    const journal = open();
    journal.observe(partitioned(1));
    await settle();
    key.read = () => new Promise(() => {});
    const answer = await clock.run(journal.list({ limit: 50, after: 0 }));
    assert.deepEqual([answer.events.length, answer.stale], [1, true]);
    opened = [];
  });

  it('a lost request and a lost acknowledgement make one entry', async () => {
    const journal = open();
    key.failures = ['lost', 'acknowledgement_lost'];
    journal.observe(partitioned(1));
    await settle();
    await clock.advance(5_000);
    assert.deepEqual(await listed(journal), [[1, 'partitioned']]);
  });

  it('an invalid value is replaced by the next entry, and harms nothing', async () => {
    key.put({ newest: 'forged' });
    const journal = open();
    assert.deepEqual(await listed(journal), []);
    journal.observe(partitioned(1));
    await settle();
    assert.deepEqual(await listed(journal), [[1, 'partitioned']]);
  });

  it('is written again by a router that knows more: after a loss, a restored older copy, or an invalid value', async () => {
    const journal = open();
    journal.observe(partitioned(1));
    await settle();
    const older = key.entry?.value;
    journal.observe(healed(2));
    await settle();
    const newest = key.entry?.value;
    for (const harm of [() => (key.entry = undefined), () => key.put(older), () => key.put('garbage')]) {
      harm();
      await clock.advance(2_000);
      assert.deepEqual(key.entry?.value, newest);
    }
    const [changes] = [key.changes];
    await clock.advance(5_000);
    assert.equal(key.changes, changes, 'at rest nothing is written');
  });

  it('is written again while its secret is being replaced', async () => {
    const journal = open();
    journal.observe(partitioned(1));
    await settle();
    key.entry = { ...key.entry!, renew: true };
    await clock.advance(2_000);
    assert.equal(key.entry.renew, undefined);
    assert.deepEqual(await listed(journal), [[1, 'partitioned']]);
  });

  it('after and limit choose from the newest', async () => {
    const journal = open();
    for (let n = 1; n <= 5; n++) journal.observe(n % 2 === 1 ? partitioned(n) : healed(n));
    await settle();
    const ids = async (limit: number, from: number) =>
      (await journal.list({ limit, after: from })).events.map(({ id }) => id);
    assert.deepEqual(await ids(2, 0), [5, 4]);
    assert.deepEqual(await ids(50, 3), [5, 4]);
    assert.deepEqual(await ids(50, 5), []);
  });
});
