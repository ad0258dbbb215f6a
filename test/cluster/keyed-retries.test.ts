/**
 * Clients that send every write under an idempotency key, and repeat it until it is answered: through a killed leader, a killed
 * router, planned promotions, and a forced one whose tail merges later. Every write counts exactly once, everywhere.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import type { CrashPoint } from '../harness/region/crashing-region.ts';

interface Told {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

interface Outcome extends Told {
  /** How often it was sent. */
  readonly sent: number;
}

/** Keyed writers of one entity each. */
class KeyedClients {
  readonly counts = new Map<number, number>();
  private readonly cluster: Cluster;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  /** Once; `undefined` without an answer. */
  async send(key: string, entity: number, url = this.cluster.url): Promise<Told | undefined> {
    try {
      const response = await fetch(`${url}/signals`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify({ entity_id: entity, signal: 'view' }),
        signal: AbortSignal.timeout(20_000),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    } catch {
      return undefined;
    }
  }

  /** Until it gets 200, through the routers in turn. */
  async view(entity: number, key: string = randomUUID()): Promise<Outcome> {
    let sent = 0;
    let told: Told | undefined;
    await eventually(
      `the view of ${entity} under ${key} is acknowledged`,
      async () => {
        const { routerUrls } = this.cluster;
        told = await this.send(key, entity, routerUrls[sent++ % routerUrls.length]);
        if (told !== undefined && told.status !== 200)
          assert.ok([503, 504].includes(told.status), JSON.stringify(told));
        return told?.status === 200;
      },
      60_000,
    );
    this.counts.set(entity, (this.counts.get(entity) ?? 0) + 1);
    return { ...told!, sent };
  }

  /** Every region counts each key once, and the regions are the same bit for bit. */
  async check(): Promise<void> {
    const { cluster } = this;
    for (const entity of this.counts.keys()) {
      const { status } = await cluster.post('/items', { entity_id: entity, metadata: { title: `item ${entity}` } });
      assert.equal(status, 200);
    }
    await cluster.converged();
    for (const [entity, count] of this.counts) {
      for (const region of cluster.regionNames) {
        const { body } = await cluster.get<{ signals: { view: { all: number } } }>(`/items/${entity}?region=${region}`);
        assert.equal(body.signals.view.all, count, `${region}, item ${entity}`);
      }
    }
  }
}

describe('keyed retries', function () {
  this.timeout(120_000);

  const points: readonly CrashPoint[] = [
    'before the commit',
    'after the flush, before anything acts on it',
    'after the publish, before its acknowledgement is seen',
  ];
  for (const point of points) {
    it(`the leader dies ${point}: every client repeats until it is answered, and counts once`, async () => {
      const cluster = await Cluster.start({
        mains: { 'us-east': { main: 'test/harness/region/crashing-region.js', env: { TIDAL_TEST_CRASH_AT: point } } },
      });
      try {
        const clients = new KeyedClients(cluster);
        await Promise.all(Array.from({ length: 10 }, (_, index) => clients.view(index + 1)));
        const leader = cluster.process('us-east');
        leader.signal('SIGUSR2');
        await eventually('the bomb is armed', () => leader.lines.some((line) => line.includes('"armed"')));
        const inFlight = Array.from({ length: 10 }, (_, index) => clients.view(index + 1));
        await eventually('the leader is dead', () => !leader.running);
        await cluster.restart('us-east');
        const outcomes = await Promise.all(inFlight);
        const repeated = outcomes.filter(({ sent }) => sent > 1);
        assert.ok(repeated.length > 0, 'somebody was not told at first');
        if (point !== 'before the commit') {
          assert.ok(
            repeated.some(({ body }) => body.replayed === true),
            'what was flushed is remembered',
          );
        }
        await clients.check();
      } finally {
        await cluster.stop();
      }
    });
  }

  describe('on one cluster', () => {
    let cluster: Cluster;
    let clients: KeyedClients;
    before(async () => {
      cluster = await Cluster.start({ routers: 2 });
      clients = new KeyedClients(cluster);
    });
    after(() => cluster?.stop());

    it('a repeat answers as the first did, through any router, for every kind of write, single or bulk', async () => {
      const [one, two] = cluster.routerUrls;
      const send = async (url: string, path: string, key: string, body: unknown): Promise<Record<string, unknown>> => {
        const response = await fetch(url + path, {
          method: body === undefined ? 'DELETE' : 'POST',
          headers: { 'idempotency-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
      };
      const writes: readonly (readonly [string, unknown])[] = [
        ['/items', { entity_id: 900, metadata: { title: 'once' } }],
        ['/embeddings', { entity_id: 900, values: [1, 0, 0, 0.1] }],
        ['/signals', { entity_id: 900, signal: 'view' }],
        ['/signals', [1, 2, 3].map((weight) => ({ entity_id: 900, signal: 'view', weight }))],
        ['/items/901', undefined],
      ];
      for (const [index, [path, body]] of writes.entries()) {
        const first = await send(one!, path, `every-${index}`, body);
        assert.equal(first.status, 200, JSON.stringify(first));
        assert.deepEqual(await send(two!, path, `every-${index}`, body), {
          ...first,
          durability: 'stream',
          replayed: true,
        });
      }
      const conflict = await send(one!, '/items', 'every-0', { entity_id: 900, metadata: { title: 'twice' } });
      assert.deepEqual([conflict.status, conflict.code], [409, 'idempotency_conflict']);
      const { body } = await cluster.get<{ signals: { view: { all: number } } }>('/items/900');
      assert.equal(body.signals.view.all, 7);
    });

    it('a bulk of 20,000 under one key is one key in every region, and after all of them have started again', async () => {
      const keysKnown = async (): Promise<number[]> =>
        Promise.all(
          [...cluster.regionUrls.values()].map(async (url) => {
            const text = await (await fetch(`${url}/metrics`)).text();
            return Number(/^tidal_idempotency_keys\{[^}]*\} (\d+)$/m.exec(text)?.[1]);
          }),
        );
      const bulk = Array.from({ length: 20_000 }, () => ({ entity_id: 700, signal: 'view' }));
      const send = async (url: string): Promise<Record<string, unknown>> => {
        const response = await fetch(`${url}/signals`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': 'a-bulk' },
          body: JSON.stringify(bulk),
        });
        return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
      };
      await cluster.converged();
      const before = await keysKnown();
      const first = await send(cluster.routerUrls[0]!);
      assert.deepEqual([first.status, first.accepted], [200, 20_000], JSON.stringify(first));
      await cluster.converged();
      const after = before.map((known) => known + 1);
      assert.deepEqual(await keysKnown(), after);
      for (const name of cluster.regionNames) {
        await cluster.kill(name);
        await cluster.restart(name);
      }
      await cluster.settled();
      assert.deepEqual(await keysKnown(), after);
      const again = await send(cluster.routerUrls[1]!);
      assert.deepEqual(again, { ...first, durability: 'stream', replayed: true });
      assert.deepEqual(await keysKnown(), after);
      clients.counts.set(700, 20_000);
      await clients.check();
    });

    it('the same key through two routers at once counts once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          clients.send(`race-${index >> 2}`, 800, cluster.routerUrls[index % 2]),
        ),
      );
      assert.ok(answers.every((told) => told?.status === 200));
      assert.equal(answers.filter((told) => told?.body.replayed === true).length, 30);
      clients.counts.set(800, 10);
      await clients.check();
    });

    it('a router dies with writes in progress; the clients go to the other one', async () => {
      const writing = Array.from({ length: 64 }, (_, index) => clients.view(1 + (index % 8)));
      await cluster.kill('router-2');
      await Promise.all(writing);
      await cluster.restart('router-2');
      await clients.check();
    });

    it('planned promotions in progress: every key is known to the next leader', async () => {
      const keys = Array.from({ length: 8 }, (_, index) => `planned-${index}`);
      for (const [index, key] of keys.entries()) await clients.view(index + 1, key);
      let stopping = false;
      const writers = Array.from({ length: 8 }, async (_, index) => {
        while (!stopping) await clients.view(index + 1);
      });
      try {
        for (const region of ['eu-west', 'ap-south', 'us-east']) {
          const { status, body } = await cluster.post('/cluster/promote', { region });
          assert.equal(status, 200, JSON.stringify(body));
          for (const [index, key] of keys.entries()) {
            assert.equal((await clients.send(key, index + 1))?.body.replayed, true, `${key} in ${region}`);
          }
        }
      } finally {
        stopping = true;
        await Promise.all(writers);
      }
      await clients.check();
    });

    it('a forced promotion away from a partitioned leader: both sides take the same keys, the tail merges, each counts once', async () => {
      assert.equal((await cluster.post('/cluster/partition', { region: 'us-east' })).status, 200);
      const keys = Array.from({ length: 12 }, (_, index) => `forced-${index}`);
      const tail: Outcome[] = [];
      for (const [index, key] of keys.entries()) tail.push(await clients.view(1 + (index % 4), key));
      assert.ok(tail.every(({ body }) => body.durability === 'local' && body.replayed === undefined));
      const forced = await cluster.post('/cluster/promote', { region: 'eu-west', force: true });
      assert.equal(forced.status, 200, JSON.stringify(forced.body));
      for (const [index, key] of keys.entries()) {
        const told = await clients.send(key, 1 + (index % 4));
        assert.deepEqual([told?.status, told?.body.replayed], [200, undefined], 'eu-west never saw it');
      }
      const here = await cluster.region<{ digest: string }>('eu-west', '/internal/digest');
      const healed = await cluster.post('/cluster/heal', { region: 'us-east', wait: true });
      assert.equal(healed.status, 200, JSON.stringify(healed.body));
      await clients.check();
      assert.notEqual(
        (await cluster.region<{ digest: string }>('eu-west', '/internal/digest')).body.digest,
        here.body.digest,
      );
      for (const [index, key] of keys.entries()) {
        const told = await clients.send(key, 1 + (index % 4));
        const first = tail[index]!.body;
        assert.deepEqual([told?.body.replayed, told?.body.position], [true, first.position], 'the lower copy counts');
      }
      const verified = await cluster.post('/cluster/verify', {});
      assert.equal(verified.body.converged, true, JSON.stringify(verified.body));
    });

    it('everything restarts, all at once: the keys are still known and the regions still the same', async () => {
      const before = await cluster.converged();
      await Promise.all([...cluster.processes.values()].map((service) => service.end('SIGKILL')));
      await Promise.all([...cluster.processes.values()].map((service) => service.start()));
      await cluster.settled();
      assert.equal(await cluster.converged(), before);
      assert.equal((await clients.send('forced-0', 1))?.body.replayed, true);
      await clients.check();
    });
  });
});
