/**
 * Signals that are taken back through the public surface, by key in every form of a body and by position: sums are as if they had not
 * been given, in all regions, after a restart of everything and after promotions.
 */
import assert from 'node:assert/strict';
import { type Answer, requestJson } from '../harness/clients/request-json.ts';
import { Cluster } from '../harness/processes/cluster.ts';

interface Written {
  readonly accepted: number;
  readonly position: string;
  readonly replayed?: true;
  readonly entity_id?: number;
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
}
type Signals = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Reads are for a time after all writes: of earlier ones only whole minutes are known. */
const AHEAD_MS = 600_000;
const JSON_TYPE = 'application/json';
const LINES_TYPE = 'application/x-ndjson';

describe('signals that are taken back', function () {
  this.timeout(120_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
    for (const entity_id of [1, 2, 3, 4]) {
      assert.equal((await cluster.post('/items', { entity_id, metadata: { title: `item ${entity_id}` } })).status, 200);
    }
  });
  after(() => cluster?.stop());

  const send = (method: string, body: unknown, key?: string, type = JSON_TYPE): Promise<Answer<Written>> =>
    requestJson<Written>(`${cluster.url}/signals`, {
      method,
      headers: { 'content-type': type, ...(key === undefined ? {} : { 'idempotency-key': key }) },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const sent = async (...request: Parameters<typeof send>): Promise<Written> => {
    const { status, body } = await send(...request);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  const refused = async (code: string, ...request: Parameters<typeof send>): Promise<Written> => {
    const { status, body } = await send(...request);
    assert.equal(body.code, code, JSON.stringify(body));
    assert.ok(status >= 400);
    return body;
  };
  /** The signals of an item at one time, the same in every region. */
  const signalsOf = async (entity: number, at: number): Promise<Signals> => {
    await cluster.converged();
    const all: Signals[] = [];
    for (const region of cluster.regionNames) {
      const { body } = await cluster.get<{ signals: Signals }>(`/items/${entity}?region=${region}&at=${at}`);
      all.push(body.signals);
    }
    for (const signals of all) assert.deepEqual(signals, all[0]);
    return all[0]!;
  };

  it('by key: one, an array, lines, and retract: true; each exactly once', async () => {
    await sent('POST', { entity_id: 1, signal: 'like', weight: 2.5 });
    await sent('POST', { entity_id: 1, signal: 'view' }, 'stays');
    const timestamp = Date.now() - 3_600_000;
    const one = { entity_id: 1, signal: 'like', weight: 1.5, timestamp };
    const array = [one, { entity_id: 1, signal: 'share' }, { entity_id: 2, signal: 'like' }];
    const lines = `${JSON.stringify({ entity_id: 1, signal: 'view', weight: 3 })}\n\n${JSON.stringify(one)}\n`;
    const atMs = Date.now() + AHEAD_MS;
    const before = await signalsOf(1, atMs);
    assert.deepEqual(await signalsOf(2, atMs), {});
    const given = [
      await sent('POST', one, 'one'),
      await sent('POST', array, 'array'),
      await sent('POST', lines, 'lines', LINES_TYPE),
      await sent('POST', one, 'field'),
    ];
    assert.notDeepEqual(await signalsOf(1, atMs), before);
    const retractions: Parameters<typeof send>[] = [
      ['DELETE', one, 'one'],
      ['DELETE', array, 'array'],
      ['DELETE', lines, 'lines', LINES_TYPE],
      ['POST', { ...one, retract: true }, 'field'],
    ];
    for (const [index, retraction] of retractions.entries()) {
      const taken = await sent(...retraction);
      assert.deepEqual([taken.accepted, taken.replayed], [given[index]!.accepted, undefined]);
      assert.equal(taken.entity_id, given[index]!.entity_id);
      const again = await sent(...retraction);
      assert.deepEqual([again.position, again.replayed], [taken.position, true]);
    }
    assert.deepEqual(await signalsOf(1, atMs), before);
    assert.deepEqual(await signalsOf(2, atMs), {}, 'as an item without signals');
    // The forms are one request; what was taken back does not count again.
    assert.equal((await sent('DELETE', { ...one, retract: true }, 'field')).replayed, true);
    assert.equal(
      (
        await sent(
          'POST',
          array.map((write) => ({ ...write, retract: true })),
          'array',
        )
      ).replayed,
      true,
    );
    assert.equal((await sent('POST', one, 'one')).position, given[0]!.position);
    assert.deepEqual(await signalsOf(1, atMs), before);
  });

  it('by position, once, also by a key afterwards', async () => {
    const given = await sent('POST', { entity_id: 3, signal: 'like' }, 'by-position');
    const taken = await sent('DELETE', { position: given.position });
    assert.equal(taken.replayed, undefined);
    for (const again of [
      await sent('POST', { position: given.position, retract: true }),
      await sent('DELETE', { position: taken.position }),
      await sent('DELETE', { entity_id: 3, signal: 'like' }, 'by-position'),
    ]) {
      assert.deepEqual([again.position, again.replayed], [taken.position, true]);
    }
    assert.deepEqual(await signalsOf(3, Date.now() + AHEAD_MS), {});
  });

  it('is refused with what to do, and changes nothing', async () => {
    const like = { entity_id: 4, signal: 'like' };
    const plain = await sent('POST', like);
    const keyed = await sent('POST', like, 'kept');
    const put = await cluster.post('/items', { entity_id: 4, metadata: {} });
    const before = (await cluster.status()).relay_log_len;
    assert.match((await refused('nothing_to_retract', 'DELETE', like, 'never-given')).hint, /seven days/);
    await refused('idempotency_conflict', 'DELETE', { ...like, weight: 2 }, 'kept');
    await refused('idempotency_conflict', 'DELETE', [like], 'kept');
    assert.match((await refused('invalid_request', 'DELETE', like)).hint, /Idempotency-Key/);
    assert.match((await refused('invalid_request', 'POST', { ...like, retract: true })).hint, /Idempotency-Key/);
    await refused('invalid_request', 'POST', `${JSON.stringify({ ...like, retract: true })}\n`, undefined, LINES_TYPE);
    await refused('invalid_request', 'POST', [like, { ...like, retract: true }], 'mixed');
    await refused('invalid_request', 'POST', { ...like, retract: 'yes' }, 'kept');
    await refused('invalid_request', 'DELETE', { ...like, retract: false }, 'kept');
    await refused('invalid_request', 'POST', { position: keyed.position });
    await refused('invalid_request', 'DELETE', { position: keyed.position }, 'kept');
    await refused('invalid_request', 'DELETE', [{ position: keyed.position }]);
    await refused('invalid_request', 'DELETE', { position: 'us-east' });
    await refused('invalid_request', 'DELETE', { position: `${keyed.position},${keyed.position}` });
    await refused('unknown_field', 'DELETE', { position: keyed.position, entity_id: 4 });
    await refused('unknown_field', 'DELETE', { ...like, retracted: true }, 'kept');
    await refused('unknown_signal', 'DELETE', { ...like, signal: 'nod' }, 'kept');
    await refused('nothing_to_retract', 'DELETE', { position: 'us-east@aaaaaaaaaaaaa:1' });
    await refused('not_retractable', 'DELETE', { position: plain.position });
    await refused('not_retractable', 'DELETE', { position: String(put.body.position) });
    assert.equal((await cluster.status()).relay_log_len, before);
  });

  it('all of it stays so after a promotion, at the new leader, after its heal and after a restart of everything', async () => {
    const atMs = Date.now() + AHEAD_MS;
    const like = { entity_id: 3, signal: 'like' };
    await sent('POST', like, 'before');
    await sent('POST', like, 'tail');
    assert.equal((await cluster.post('/cluster/promote', { region: 'eu-west' })).status, 200);
    await sent('DELETE', like, 'before');
    assert.equal((await signalsOf(3, atMs)).like?.all, 1);
    // The retraction is in the tail of a leader that is replaced; its successor takes the same one back.
    assert.equal((await cluster.post('/cluster/partition', { region: 'eu-west' })).status, 200);
    const first = await sent('DELETE', like, 'tail');
    assert.equal((await cluster.post('/cluster/promote', { region: 'ap-south', force: true })).status, 200);
    const second = await sent('DELETE', like, 'tail');
    assert.deepEqual([first.replayed, second.replayed], [undefined, undefined]);
    assert.equal((await cluster.post('/cluster/heal', { region: 'eu-west', wait: true })).status, 200);
    assert.deepEqual(await signalsOf(3, atMs), {});
    assert.equal((await sent('DELETE', like, 'tail')).replayed, true);
    const digest = await cluster.converged();
    await Promise.all([...cluster.processes.values()].map((service) => service.end('SIGKILL')));
    await Promise.all([...cluster.processes.values()].map((service) => service.start()));
    await cluster.settled();
    assert.equal(await cluster.converged(), digest);
    assert.deepEqual(await signalsOf(3, atMs), {});
    assert.equal((await sent('DELETE', like, 'before')).replayed, true);
    const verified = await cluster.post('/cluster/verify', {});
    assert.equal(verified.body.converged, true, JSON.stringify(verified.body));
  });
});
