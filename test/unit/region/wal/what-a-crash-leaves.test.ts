/**
 * The leader loses its power at each point of the write path while three clients wait: what it leaves, what was visible of it,
 * and the answers to the clients' repeated requests.
 */
import assert from 'node:assert/strict';
import { decodeBatch, splitMessage } from '../../../../services/region/batch/batch.ts';
import type { WriteAccepted } from '../../../../shared/protocol/internal.ts';
import { CoreCluster } from '../../../harness/region/core-cluster.ts';
import { view } from '../../../harness/region/core-region.ts';

const entities = [11, 12, 13];

interface Point {
  readonly what: string;
  readonly arrange: (cluster: CoreCluster) => void;
  readonly unflushed: 'lost' | 'kept';
  /** Of the three writes, after the restart and before any request is repeated. */
  readonly left: 'nothing' | 'all';
  readonly answered: number;
}

const points: readonly Point[] = [
  {
    what: 'sequenced, not committed',
    arrange: (cluster) => {
      const { store } = cluster.region('us-east');
      // The transaction begins and never ends.
      store.commit = () => new Promise(() => {});
    },
    unflushed: 'lost',
    left: 'nothing',
    answered: 0,
  },
  {
    what: 'committed, not flushed, and gone',
    arrange: (cluster) => cluster.region('us-east').store.holdFlushes(),
    unflushed: 'lost',
    left: 'nothing',
    answered: 0,
  },
  {
    what: 'committed, not flushed, and kept',
    arrange: (cluster) => cluster.region('us-east').store.holdFlushes(),
    unflushed: 'kept',
    left: 'all',
    answered: 0,
  },
  {
    what: 'flushed, not published',
    arrange: (cluster) => {
      cluster.region('us-east').client.publishFaults.push('dropped', 'dropped', 'dropped');
    },
    unflushed: 'lost',
    left: 'all',
    answered: 3,
  },
  {
    what: 'published, not acknowledged',
    arrange: (cluster) => {
      cluster.region('us-east').client.publishFaults.push('lost_ack');
    },
    unflushed: 'lost',
    left: 'all',
    answered: 3,
  },
  {
    what: 'published late, after the restart',
    arrange: (cluster) => {
      cluster.region('us-east').client.publishFaults.push('late');
    },
    unflushed: 'lost',
    left: 'all',
    answered: 3,
  },
];

describe('what a crash of the leader leaves', () => {
  for (const { what, arrange, unflushed, left, answered } of points) {
    it(`${what}: ${left} of it (schedule 34)`, async () => {
      const cluster = await CoreCluster.start();
      const { clock, broker } = cluster;
      const router = await cluster.router();
      await clock.run(router.submit([view(1)]));
      await cluster.converge();
      // Followers fetch nothing from the leader: what they have, the stream brought.
      cluster.region('us-east').serve = () => new Uint8Array();
      arrange(cluster);
      const told = new Map<number, WriteAccepted>();
      const unknown: number[] = [];
      for (const entity of entities) {
        router.submit([view(entity)], { key: `key ${entity}` }).then(
          (answer) => told.set(entity, answer),
          () => unknown.push(entity),
        );
      }
      await clock.advance(900);
      assert.equal(told.size, answered);
      const flushed = answered > 0;
      assert.equal(
        cluster.region('us-east').ledger.read(11, 'view', clock.nowMs())?.count,
        flushed ? 1 : undefined,
        'nobody sees what is not flushed',
      );
      if (!flushed) assert.equal(broker.stream?.last, 1);
      cluster.kill('us-east', unflushed);
      await clock.advance(1_000);
      assert.equal(unknown.length, entities.length - answered, 'the others do not know');

      const again = cluster.start('us-east');
      broker.landLate();
      await cluster.converge();
      for (const entity of entities) assert.equal(cluster.count(entity), left === 'all' ? 1 : 0);
      for (const entity of entities) {
        const answer = await clock.run(router.submit([view(entity)], { key: `key ${entity}` }));
        assert.equal(answer.replayed, left === 'all' ? true : undefined);
        const before = told.get(entity);
        if (before !== undefined) assert.equal(answer.position, before.position);
      }
      await cluster.converge();
      for (const entity of entities) assert.equal(cluster.count(entity), 1);
      // The stream has every batch once, in order.
      const firsts = new Map<string, number>();
      for (const { bytes } of broker.stream!.messages.values()) {
        for (const part of splitMessage(bytes)) {
          const { origin, first, last } = decodeBatch(part);
          assert.equal(first, (firsts.get(origin) ?? 0) + 1, `${origin} in the stream`);
          firsts.set(origin, last);
        }
      }
      assert.deepEqual(again.fatal, []);
    });
  }
});
