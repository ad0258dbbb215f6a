/** A container and its data volume removed, under writes, and recreated by `docker compose up`. */
import assert from 'node:assert/strict';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { covers, parsePosition } from '../../shared/protocol/position.ts';
import { more, underWrites } from '../harness/clients/under-writes.ts';
import { sharedComposeCluster } from '../harness/containers/shared-compose-cluster.ts';
import { eventually } from '../harness/kernel/eventually.ts';

describe('the data volume lost of', function () {
  this.timeout(120_000);
  const shared = sharedComposeCluster();

  it('a follower: it returns empty, is not ready before it has caught up, and converges', async () => {
    const cluster = shared();
    const [follower] = await cluster.followers();
    const statusInside = async (): Promise<RegionStatus> =>
      JSON.parse(await cluster.fromInside(follower, 'http://127.0.0.1:9510/internal/status')) as RegionStatus;
    const told = await underWrites(cluster, async (writes) => {
      await cluster.removeWithVolume(follower);
      await more(writes);
      const held = parsePosition((await cluster.region(await cluster.leader())).position)!;
      assert.ok(held.size > 0);
      // It is up, but no peer can be asked yet: it must not treat its empty log as complete.
      await cluster.compose('create', '--no-build', '--no-recreate', follower);
      await cluster.disconnect(follower);
      await cluster.start(follower);
      const seen: RegionStatus[] = [];
      await eventually('asked three times', async () => seen.push(await statusInside()) === 3, 30_000);
      for (const { ready, durable } of seen) assert.deepEqual([ready, durable], [false, '']);
      await assert.rejects(
        cluster.exec(follower, 'node', 'dist/deploy/health-check.js', 'http://127.0.0.1:9510/health/ready'),
      );
      await cluster.reconnect(follower);
      let status = seen[0]!;
      await eventually(
        'ready',
        async () => {
          status = await statusInside();
          return status.ready;
        },
        60_000,
      );
      assert.ok(covers(parsePosition(status.applied)!, held), 'ready before it has caught up');
      assert.match(await cluster.logs(follower), /catching up with peer before becoming ready/);
      await more(writes);
      await cluster.settled();
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    await told.check(cluster);
  });

  it('NATS: stream and leadership record are recreated, the epoch grows, a region that was down meanwhile misses nothing', async () => {
    const cluster = shared();
    const [, away] = await cluster.followers();
    const promoted = await cluster.post('/cluster/promote', { region: (await cluster.followers())[0] });
    assert.equal(promoted.status, 200, JSON.stringify(promoted.body));
    const [leader, { epoch }] = [await cluster.leader(), await cluster.status()];
    const told = await underWrites(cluster, async (writes) => {
      await cluster.kill(away);
      await more(writes);
      await cluster.removeWithVolume('nats');
      await more(writes);
      await cluster.compose('up', '--detach', '--no-build', '--no-deps', '--no-recreate', 'nats');
      const { answers } = writes;
      const confirmed = answers.get('200 stream') ?? 0;
      await eventually('confirmed by the stream', () => (answers.get('200 stream') ?? 0) > confirmed + 20, 30_000);
      // The stream does not wait for the record, and the record is to be made while a region is away.
      await eventually('a record', async () => (await cluster.status()).epoch > epoch, 30_000);
      await cluster.start(away);
      await more(writes);
      await cluster.settled();
    });
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    const after = await cluster.status();
    assert.equal(after.leader, leader);
    // By more than one: the region that was away might have known a later epoch.
    assert.ok(after.epoch > epoch + 1, `epoch ${epoch} before, ${after.epoch} after`);
    await told.check(cluster);
    // The record can be changed again: it is not only remembered.
    const back = await cluster.post('/cluster/promote', { region: away });
    assert.deepEqual([back.status, back.body.epoch], [200, after.epoch + 1], JSON.stringify(back.body));
  });
});
