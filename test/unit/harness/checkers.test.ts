/** The checkers find the errors they are meant to find. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { HLC_PER_MS } from '../../../shared/protocol/events.ts';
import { checkAcknowledged } from '../../checkers/acknowledged-writes.ts';
import { checkTimes } from '../../checkers/times.ts';
import { Watch } from '../../checkers/watch.ts';
import { Acknowledged, type CheckedCluster } from '../../harness/clients/acknowledged.ts';
import { rawBatch, rawSignal } from '../../harness/hostile/garbage.ts';
import { eventually } from '../../harness/kernel/eventually.ts';
import type { Cluster } from '../../harness/processes/cluster.ts';

const origin = 'us-east@aaaaaaaaaa';

describe('checkers', () => {
  describe('acknowledged writes', () => {
    /** A cluster of one region that shows `views` of every item and is at `position`. */
    const showing = (views: number, position: string): CheckedCluster =>
      ({
        url: '',
        regionNames: ['us-east'],
        post: async () => ({ status: 200, body: {} }),
        converged: async () => '',
        get: async () => ({ status: 200, body: { signals: { view: { all: views } }, position } }),
      }) as unknown as CheckedCluster;
    const told = (...positions: readonly string[]): Acknowledged => {
      const acknowledged = new Acknowledged();
      for (const position of positions) {
        acknowledged.note(1, { status: 200, sent: true, body: { position, durability: 'stream' } });
      }
      return acknowledged;
    };
    const two = () => told(`${origin}:1`, `${origin}:2`);

    it('all there, once', () => checkAcknowledged(showing(2, `${origin}:2`), two()));
    it('lost', () => assert.rejects(checkAcknowledged(showing(1, `${origin}:2`), two()), /lost/));
    it('doubled', () => assert.rejects(checkAcknowledged(showing(3, `${origin}:2`), two()), /doubled/));
    it('of unknown outcome: once or not at all, not twice', async () => {
      const doubtful = two();
      doubtful.note(1, { status: 504, sent: true, body: {} });
      await checkAcknowledged(showing(2, `${origin}:2`), doubtful);
      await checkAcknowledged(showing(3, `${origin}:3`), doubtful);
      await assert.rejects(checkAcknowledged(showing(4, `${origin}:4`), doubtful), /doubled/);
    });
    it('refused, or never sent, but counted', async () => {
      const refused = two();
      refused.note(1, { status: 503, sent: true, body: { code: 'no_leader' } });
      refused.note(1, { status: 0, sent: false, body: {} });
      await assert.rejects(checkAcknowledged(showing(3, `${origin}:3`), refused), /doubled/);
    });
    it('a position that no region has', () =>
      assert.rejects(checkAcknowledged(showing(2, `${origin}:1`), two()), /lacks/));
    it('one position for two writes', () =>
      assert.rejects(checkAcknowledged(showing(2, `${origin}:2`), told(`${origin}:2`, `${origin}:2`)), /two writes/));
  });

  describe('times', () => {
    const hour = 3_600_000;
    /** A region whose log is one view, accepted `offMs` off the present time, and that shows it in those windows. */
    const check = async (offMs: number, shown: object = {}, atMs = Date.now()): Promise<number> => {
      const hlc = (Date.now() + offMs) * HLC_PER_MS;
      const log = rawBatch({ origin, hlc, signals: ['view'], events: [rawSignal(1_000)] });
      const server = createServer(({ url = '' }, response) => {
        response.end(url.endsWith('from=1') ? log : '');
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const view = { '1h': 1, '24h': 1, '7d': 1, all: 1, decayed: 0.9999, ...shown };
      const cluster = {
        regionNames: ['us-east'],
        regionUrls: new Map([['us-east', `http://127.0.0.1:${(server.address() as { port: number }).port}`]]),
        region: async () => ({ status: 200, body: { durable: `${origin}:1` } }),
        get: async () => ({ status: 200, body: { at: new Date(atMs).toISOString(), signals: { view } } }),
      };
      const told = new Acknowledged();
      told.acknowledge(1, { position: `${origin}:1`, durability: 'stream' });
      try {
        return await checkTimes(cluster as unknown as Cluster, told);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    };

    it('right ones', async () => assert.equal(await check(-5_000), 1));
    it('of the future', () => assert.rejects(check(hour), /of the future/));
    it('of the past', () => assert.rejects(check(-hour), /accepted -36\d+ ms off/));
    it('a window that lacks what was written just now', () => assert.rejects(check(0, { '1h': 0 }), /shows/));
    it('a sum that has decayed too much', () => assert.rejects(check(0, { decayed: 0.5 }), /shows/));
    it('an answer for another time', () => assert.rejects(check(0, {}, Date.now() - hour), /shows/));
  });

  describe('the watch', () => {
    const statuses = {
      start: { durable: `${origin}:5`, applied: `${origin}:5`, leadership: { leader: 'us-east', epoch: 2 } },
      durableBack: { durable: `${origin}:4`, applied: `${origin}:4`, leadership: { leader: 'us-east', epoch: 2 } },
      ahead: { durable: `${origin}:5`, applied: `${origin}:6`, leadership: { leader: 'us-east', epoch: 2 } },
      epochBack: { durable: `${origin}:5`, applied: `${origin}:5`, leadership: { leader: 'us-east', epoch: 1 } },
      twoLeaders: { durable: `${origin}:5`, applied: `${origin}:5`, leadership: { leader: 'eu-west', epoch: 2 } },
    };
    const seen: readonly [keyof typeof statuses, RegExp | undefined][] = [
      ['start', undefined],
      ['durableBack', /durable position went back/],
      ['ahead', /applied .*:6, durable .*:5/],
      ['epochBack', /epoch went back from 2 to 1/],
      ['twoLeaders', /epoch 2 is led by eu-west, and by us-east/],
    ];
    for (const [name, violation] of seen) {
      it(name, async () => {
        let present: object = statuses.start;
        const server = createServer((_, response) => {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify(present));
        }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
        const cluster = { regionNames: ['us-east'], regionUrls: new Map([['us-east', url]]), routerUrls: [] };
        const watch = new Watch(cluster as unknown as Cluster);
        try {
          await eventually('it looked', () => watch.looks > 0);
          present = statuses[name];
          const before = watch.looks;
          await eventually('it looked again', () => watch.looks > before + 1);
          if (violation === undefined) await watch.stop();
          else await assert.rejects(watch.stop(), violation);
        } finally {
          server.closeAllConnections();
          server.close();
        }
      });
    }
  });
});
