/** The typed client and a cluster with two routers, one of which is killed under its writes. */
import assert from 'node:assert/strict';
import { type api, TidalClient } from '../../shared/client/client.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const WRITERS = 4;

describe('the typed client', function () {
  this.timeout(180_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ routers: 2, startLimitMs: 120_000 });
  });
  after(() => cluster?.stop());

  it('loses nothing and doubles nothing while routers are killed under its writes, and reads its writes in every region', async () => {
    const { routerUrls, routerNames, regionNames } = cluster;
    const counts: number[] = Array.from({ length: WRITERS }, () => 0);
    let over = false;
    const writers = counts.map(async (_, entity) => {
      const client = new TidalClient({ urls: routerUrls, deadlineMs: 60_000 });
      await client.putItem({ entity_id: entity, metadata: { writer: entity } });
      for (let count = 0; !over; count++) {
        if (count % 5 === 0)
          await client.addSignals([0, 1, 2].map((weight) => ({ entity_id: entity, signal: 'like', weight })));
        await client.addSignal({ entity_id: entity, signal: 'view' });
        counts[entity]! += 1;
      }
      return client;
    });
    const reached = (least: number): Promise<void> =>
      eventually(`${least} writes of each`, () => counts.every((count) => count >= least), 60_000);
    try {
      await reached(10);
      for (const name of routerNames) {
        const before = Math.max(...counts);
        await cluster.kill(name);
        await reached(before + 10);
        await cluster.restart(name);
      }
    } finally {
      over = true;
    }
    const clients = await Promise.all(writers);
    for (const [entity, client] of clients.entries()) {
      const count = counts[entity]!;
      for (const region of regionNames) {
        const { signals, ...item } = await client.getItem(entity, { region });
        assert.equal(item.region, region);
        assert.deepEqual(
          [signals.view!.all, signals.like!.all],
          [count, 3 * Math.ceil(count / 5)],
          `${region}, item ${entity}`,
        );
      }
    }
  });

  it('takes signals back, by their key and by their position, once', async () => {
    const client = new TidalClient({ urls: cluster.routerUrls });
    const signal: api.Signal = { entity_id: 90, signal: 'like', weight: 2 };
    const likes = (region: string) => client.getItem(90, { region }).then(({ signals }) => signals.like!.all);
    await client.putItem({ entity_id: 90, metadata: {} });
    await client.addSignal({ ...signal, weight: 0.5 });
    const { position } = await client.addSignal(signal);
    await client.addSignal(signal, { idempotencyKey: 'one' });
    await client.addSignals([signal, signal], { idempotencyKey: 'two' });
    for (const region of cluster.regionNames) assert.equal(await likes(region), 8.5, region);
    await client.takeBackSignalAt(position);
    assert.equal((await client.takeBackSignalAt(position)).replayed, true);
    await client.takeBackSignal(signal, 'one');
    await client.takeBackSignals([signal, signal], 'two');
    for (const region of cluster.regionNames) assert.equal(await likes(region), 0.5, region);
    await assert.rejects(client.takeBackSignal(signal, 'three'), { code: 'nothing_to_retract', attempts: 1 });
  });

  it('walks through feeds and searches, and says what is wrong', async () => {
    const client = new TidalClient({ urls: cluster.routerUrls });
    const items: api.Item[] = Array.from({ length: 25 }, (_, at) => ({
      entity_id: 100 + at,
      metadata: { title: `waltz ${at}`, kind: 'dance' },
    }));
    await client.putItems(items);
    const wanted = items.map(({ entity_id }) => entity_id);
    for (const region of cluster.regionNames) {
      const seen: number[] = [];
      for await (const { entity_id } of client.feedItems({ profile: 'new', filter: 'kind:dance', limit: 10, region }))
        seen.push(entity_id);
      assert.deepEqual(seen.toSorted(), wanted);
    }
    const found: number[] = [];
    for await (const { entity_id } of client.searchItems({ query: 'waltz', limit: 7 })) found.push(entity_id);
    assert.deepEqual(found.toSorted(), wanted);
    await assert.rejects(client.feed({ profile: 'no_such' }), { code: 'unknown_profile', status: 404, attempts: 1 });
    assert.equal((await client.status()).regions.length, 3);
    assert.equal((await client.verify()).converged, true);
  });
});
