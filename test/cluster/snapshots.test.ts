/** Regions that lost their disk, joined late, or were killed on the way return by a peer's snapshot, with everything. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { keepWriting } from '../harness/clients/keep-writing.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

/** A region takes what it missed message by message, each with a flush of its own: on a busy machine a few dozen a second. */
const LIMIT_MS = 120_000;

/** Items whose metadata no index reads: `megabytes` of log in each region. */
async function fill(cluster: Cluster, megabytes: number): Promise<void> {
  const filler = 'x'.repeat(4_000);
  for (let done = 0, entity = 100_000; done < megabytes; done++) {
    const items = Array.from({ length: 250 }, () => ({
      entity_id: entity++,
      metadata: { title: `number ${entity}`, filler },
    }));
    const { status } = await cluster.post('/items', items);
    assert.equal(status, 200);
  }
}

function loseDisk(cluster: Cluster, region: string): void {
  rmSync(join(cluster.directory, region), { recursive: true });
}

function lines(cluster: Cluster, name: string, text: string): number {
  return cluster.process(name).lines.filter((line) => line.includes(text)).length;
}

const statusOf = async (cluster: Cluster, region: string): Promise<RegionStatus> =>
  (await cluster.region<RegionStatus & Record<string, unknown>>(region, '/internal/status')).body;

describe('a region recovers by a snapshot', function () {
  this.timeout(600_000);
  let cluster: Cluster;
  const told = new Acknowledged();

  before(async () => {
    cluster = await Cluster.start();
    await fill(cluster, 12);
    for (let entity = 1; entity <= 8; entity++) await told.view(cluster, entity);
    await cluster.converged(LIMIT_MS);
    // The stream is wiped, so that everything has to be fetched from the regions.
    await cluster.nats.restart({ wiped: true });
    await cluster.settled();
  });
  after(() => cluster?.stop());
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    for (const name of cluster.regionNames) {
      console.log(name, JSON.stringify(await statusOf(cluster, name).catch(String)));
      console.log(cluster.process(name).lines.slice(-12).join('\n'));
    }
  });

  for (const victim of ['ap-south', 'us-east']) {
    it(`${victim === 'us-east' ? 'the leader' : 'a follower'} has lost its disk while writes continue`, async () => {
      const before = (await statusOf(cluster, 'eu-west')).durable;
      const stop = keepWriting(cluster, told);
      try {
        await cluster.process(victim).end('SIGTERM');
        loseDisk(cluster, victim);
        const installed = lines(cluster, victim, 'switched to the fetched store');
        await cluster.restart(victim);
        let early = 0;
        await eventually(
          `${victim} is ready`,
          async () => {
            const { status, body } = await cluster.region<{ status?: string }>(victim, '/health/ready');
            if (status !== 200) {
              early++;
              return false;
            }
            assert.equal(body.status, 'ready');
            return true;
          },
          LIMIT_MS,
        );
        assert.ok(early > 0, 'it was not ready before');
        assert.equal(lines(cluster, victim, 'switched to the fetched store'), installed + 1);
        const { applied } = await statusOf(cluster, victim);
        for (const part of before.split(',')) {
          const [origin, sequence] = part.split(':');
          assert.ok(applied.includes(`${origin}:`), `${origin} up to ${sequence} is there when it is ready`);
        }
        await cluster.settled();
      } finally {
        await stop();
      }
      await cluster.converged(LIMIT_MS);
      await told.check(cluster);
      // Without its leader a cluster refuses writes after ten seconds of holding them; without a follower it never does.
      if (victim === 'ap-south') assert.deepEqual(told.refused, []);
    });
  }

  it('what the switch left behind is nothing: one store, and the pointer to it', () => {
    const names = readdirSync(join(cluster.directory, 'ap-south'));
    const current = readFileSync(join(cluster.directory, 'ap-south', 'CURRENT'), 'utf8').trim();
    assert.deepEqual(names.sort(), ['CURRENT', current].sort());
  });

  it('the fetching region and the serving one are killed at random times: it always ends with everything', async () => {
    const seed = Number(process.env.TIDAL_SEED ?? Math.floor(Math.random() * 1e9));
    console.log(`      seed ${seed}`);
    let state = seed;
    const chance = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return state / 0x7fffffff;
    };
    const stop = keepWriting(cluster, told);
    try {
      for (let round = 0; round < 4; round++) {
        const victim = 'ap-south';
        await cluster.kill(victim);
        loseDisk(cluster, victim);
        const at = cluster.process(victim).lines.length;
        await cluster.restart(victim);
        const since = (): string[] => cluster.process(victim).lines.slice(at);
        await eventually('it fetches', () => since().some((line) => line.includes('snapshot fetch started')), LIMIT_MS);
        // From here to the end of the install takes some 100 ms.
        const end = performance.now() + chance() * 400;
        await eventually('a random moment', () => performance.now() >= end, LIMIT_MS);
        const peer = since().find((line) => line.includes('snapshot fetch started'));
        const serving = (JSON.parse(peer!) as { peer: string }).peer;
        const killed = chance() < 0.5 ? victim : serving;
        await cluster.kill(killed);
        await cluster.restart(killed);
        await eventually(
          `round ${round}: ready after ${killed} was killed`,
          async () => (await cluster.region(victim, '/health/ready')).status === 200,
          LIMIT_MS,
        );
        await cluster.settled();
      }
    } finally {
      await stop();
    }
    await cluster.converged(LIMIT_MS);
    await told.check(cluster);
  });
});

describe('an old disk is restored from a backup', function () {
  this.timeout(600_000);

  it('while peers and stream are away: it serves its old truth, appends to no old origin, and later all have everything once', async () => {
    const cluster = await Cluster.start();
    try {
      const told = new Acknowledged();
      for (let entity = 1; entity <= 8; entity++) await told.view(cluster, entity);
      await cluster.post('/items', { entity_id: 1, metadata: { title: 'old truth' } });
      await cluster.converged(LIMIT_MS);
      // A copy of the directory of a region that has ended is a backup of it.
      await cluster.process('us-east').end('SIGTERM');
      const backup = join(cluster.directory, 'us-east-backup');
      cpSync(join(cluster.directory, 'us-east'), backup, { recursive: true });
      await cluster.restart('us-east');
      await cluster.settled();
      const old = await statusOf(cluster, 'us-east');
      for (let count = 0; count < 20; count++) await told.view(cluster, 1 + (count % 8));
      await cluster.converged(LIMIT_MS);
      const newer = await statusOf(cluster, 'us-east');
      assert.notEqual(newer.durable, old.durable);

      for (const name of ['us-east', 'eu-west', 'ap-south']) await cluster.kill(name);
      await cluster.nats.kill();
      loseDisk(cluster, 'us-east');
      cpSync(backup, join(cluster.directory, 'us-east'), { recursive: true });
      await cluster.restart('us-east');
      const alone = await statusOf(cluster, 'us-east');
      assert.deepEqual([alone.ready, alone.durable], [true, old.durable]);
      const shown = await cluster.region<{ metadata: { title: string } }>('us-east', '/items/1');
      assert.deepEqual([shown.status, shown.body.metadata.title], [200, 'old truth']);
      // Nothing confirms that it still leads: it accepts nothing, so nothing can be appended anywhere.
      const refused = await cluster.region(
        'us-east',
        '/internal/writes',
        JSON.stringify({
          epoch: alone.leadership?.epoch,
          atomic: false,
          writes: [{ k: 's', e: 1, s: 'view', w: 1_000 }],
        }),
      );
      assert.match(JSON.stringify(refused.body), /not_leader/);
      assert.equal((await statusOf(cluster, 'us-east')).durable, old.durable);

      await cluster.nats.restart();
      await Promise.all(['eu-west', 'ap-south'].map((name) => cluster.restart(name)));
      await cluster.settled();
      await cluster.converged(LIMIT_MS);
      for (let entity = 1; entity <= 8; entity++) assert.equal(await told.view(cluster, entity), 200);
      await told.check(cluster);
      const after = (await statusOf(cluster, 'us-east')).durable;
      for (const part of newer.durable.split(',')) {
        assert.ok(after.split(',').includes(part), `${part} is as it was: nothing was appended to an old origin`);
      }
    } finally {
      await cluster.stop();
    }
  });
});

describe('a region is added', function () {
  this.timeout(600_000);

  it('the others are restarted one by one with the new topology; it joins by a snapshot while they serve', async () => {
    const cluster = await Cluster.start({ regions: ['us-east', 'eu-west'], routers: 2 });
    try {
      const told = new Acknowledged();
      await fill(cluster, 4);
      for (let entity = 1; entity <= 8; entity++) await told.view(cluster, entity);
      await cluster.nats.restart({ wiped: true });
      await cluster.settled();
      const stop = keepWriting(cluster, told, cluster.routerUrls[0]);
      let dataDir: string;
      try {
        ({ dataDir } = await cluster.addRegion('ap-south'));
        // The regions that do not know it yet answer it; restarts while a snapshot is fetched are tested above.
        await eventually(
          'it fetched a snapshot',
          () => lines(cluster, 'ap-south', 'switched to the fetched store') > 0,
          LIMIT_MS,
        );
        for (const name of ['eu-west', 'router-2', 'us-east']) {
          await cluster.process(name).end('SIGTERM');
          await cluster.restart(name);
        }
        await eventually(
          'it is ready',
          async () => (await cluster.region('ap-south', '/health/ready')).status === 200,
          LIMIT_MS,
        );
      } finally {
        await stop();
      }
      await cluster.process('router').end('SIGTERM');
      await cluster.restart('router');
      await cluster.settled();
      await cluster.converged(LIMIT_MS);
      const printed = cluster.process('ap-south').lines.join('\n');
      assert.equal(lines(cluster, 'ap-south', 'switched to the fetched store'), 1, printed);
      assert.ok(existsSync(join(dataDir, 'CURRENT')));
      assert.equal((await cluster.status()).regions.length, 3);
      await told.check(cluster);
      assert.deepEqual(told.refused, []);
    } finally {
      await cluster.stop();
    }
  });
});
