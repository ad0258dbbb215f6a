/** A region's own port: a body that breaks the rules of the public surface is refused with 400, whatever it is, and changes nothing. */
import assert from 'node:assert/strict';
import { isCount, isThousandths, metadataFlaw } from '../../../../shared/protocol/events.ts';
import { withKeys } from '../../../../shared/protocol/idempotency.ts';
import type { RegionStatus } from '../../../../shared/protocol/internal.ts';
import { fromWire } from '../../../../shared/protocol/writes.ts';
import { hostileRequests, view, whole } from '../../../harness/hostile/hostile-requests.ts';
import { drawBetween, drawOne, seededRandom } from '../../../harness/kernel/seeded-random.ts';
import { type LeadingRegion, leadingRegion } from '../../../harness/region/leading-region.ts';

const schema = `
signals:
  view: { sentiment: positive, half_life: 7d }
text: { fields: { title: {} } }
embedding: { dimensions: 3 }
`;

describe('hostile requests to a region', () => {
  let region: LeadingRegion;

  before(async () => {
    region = await leadingRegion({ schema });
  });

  after(() => region.stop());

  for (const [path, body] of hostileRequests) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    it(`400: ${path} ${text.slice(0, 90)}`, async () => {
      const before = await region.get<RegionStatus>('/internal/status');
      const { status, body: problem } = await region.post(path, text);
      assert.deepEqual([status, problem.code], [400, 'invalid_request'], JSON.stringify(problem));
      const after = await region.get<RegionStatus>('/internal/status');
      assert.deepEqual([after.body.durable, after.body.partitioned], [before.body.durable, false], 'nothing changed');
    });
  }

  it('a retraction whose key is not one of its values is refused: it would subtract what was not added', async () => {
    const given = { k: 's', e: 5, s: 'view', w: 2_000 } as const;
    const [signal] = withKeys('k', 'signals', [given], true);
    assert.match(await region.write(signal!), /:\d+$/);
    const { key } = signal!;
    const post = (write: object) => region.post('/internal/writes', { epoch: 1, atomic: true, writes: [write] });
    for (const write of [
      { ...given, k: 'r', w: 9_000, key },
      { ...given, k: 'r', e: 6, key },
      { ...given, k: 'r', t: 5, key },
      { ...given, k: 'r' },
      { k: 'b', p: 'us-east', key },
      { k: 'b', p: '' },
    ]) {
      const { status, body } = await post(write);
      assert.deepEqual([status, body.code], [400, 'invalid_request'], JSON.stringify(write));
    }
    assert.equal((await post({ ...given, k: 'r', key })).status, 200);
    assert.deepEqual(region.fatal, []);
  });

  it('a position that is not one is no position before everything', async () => {
    assert.equal((await region.get('/internal/snapshot?covering=garbage')).status, 400);
    assert.equal((await region.get('/internal/log/garbage?from=1')).status, 400);
    assert.equal((await region.get('/internal/log/us-east@aaaaaaaaaa?from=x')).status, 400);
  });

  it('whatever is drawn instead of a value, a write is refused or is an event by the rules', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = seededRandom(seed);
    const odd = [null, -0, -1, 0.5, 2 ** 53, 1e308, '', 'view', true, [], {}, [null], { a: {} }, Number.NaN];
    const shapes: readonly Record<string, unknown>[] = [
      view,
      { ...view, t: 5 },
      { k: 'i', e: 1, m: { a: 1, b: ['x'] } },
      { k: 'd', e: 1 },
      { ...view, k: 'r' },
      { k: 'b', p: 'us-east@aaaaaaaaaa:1' },
      { k: 'v', e: 1, b: 'AACAPwAAgD8AAIA/' },
    ];
    for (let round = 0; round < 5_000; round++) {
      const write = { ...drawOne(random, shapes) };
      for (let n = drawBetween(random, 0, 2); n > 0; n--) {
        write[drawOne(random, [...Object.keys(write), 'key', 'x'])] = drawOne(random, odd);
      }
      let event: ReturnType<typeof fromWire>;
      try {
        event = fromWire(write);
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, 'invalid_request', `seed ${seed}: ${String(error)}`);
        continue;
      }
      const where = `seed ${seed}: ${JSON.stringify(write)}`;
      if (event.kind === 'retraction at') continue;
      assert.ok(isCount(event.entity) && !Object.is(event.entity, -0), where);
      if (event.kind === 'item') assert.equal(metadataFlaw(event.metadata), undefined, where);
      if (event.kind === 'signal') assert.ok(isThousandths(event.weight) && event.signal !== '', where);
    }
  });

  it('afterwards it continues to accept writes, and its process lives', async () => {
    const { status } = await region.post('/internal/writes', whole);
    assert.equal(status, 200);
    assert.deepEqual(region.fatal, []);
  });
});
