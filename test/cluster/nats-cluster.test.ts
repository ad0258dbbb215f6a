/** Three nats-servers: every process at another one of them, and the loss of any one. */
import assert from 'node:assert/strict';
import { systemClock } from '../../shared/kernel/system.ts';
import { connectJetStream, type JetStreamClient } from '../../shared/stream/jetstream.ts';
import { STREAM_NAME } from '../../shared/stream/settings.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { NatsCluster } from '../harness/processes/nats-server.ts';

const settings = { maxBytes: 64 * 1024 * 1024, replicas: 3 };
const LIMIT_MS = 60_000;

describe('three nats-servers', function () {
  this.timeout(180_000);
  let nats: NatsCluster;
  beforeEach(async () => {
    nats = await NatsCluster.start();
  });
  afterEach(() => nats.stop());

  const copies = (wanted: number): Promise<void> =>
    eventually(
      `the stream has ${wanted} copies`,
      async () => (await nats.streams()).get(STREAM_NAME)?.replicas === wanted,
      LIMIT_MS,
    );

  it('a stream of one server gets its copies, and every client receives every message at its own server', async () => {
    const clients: JetStreamClient[] = [0, 1, 2].map((server) =>
      connectJetStream({ url: nats.urls(server), name: `client-${server}`, clock: systemClock, settings }),
    );
    const alone = connectJetStream({
      ...{ url: nats.urls(0), name: 'alone', clock: systemClock },
      settings: { ...settings, replicas: 1 },
    });
    try {
      await eventually(
        'all are connected',
        () => [alone, ...clients].every(({ stream }) => stream.connected),
        LIMIT_MS,
      );
      await eventually('the stream exists', () => alone.stream.ensure().then(() => true), LIMIT_MS);
      await copies(1);
      const [first] = clients;
      await eventually('it is created with copies', () => first!.stream.ensure().then(() => true), LIMIT_MS);
      await copies(3);
      const received = clients.map(() => [] as string[]);
      for (const [index, { stream }] of clients.entries()) {
        await stream.subscribe({
          from: 1,
          onMessage: async ({ origin, sequence, bytes }) => {
            received[index]!.push(`${origin} ${sequence} ${Buffer.from(bytes)}`);
          },
          onSubscriptionEnd: (_, detail) => assert.fail(detail),
        });
      }
      assert.deepEqual(await clients[1]!.stream.publish('us-east@abc123', Buffer.from('one'), 0), { sequence: 1 });
      assert.deepEqual(await clients[2]!.stream.publish('us-east@abc123', Buffer.from('two'), 1), { sequence: 2 });
      const all = ['us-east@abc123 1 one', 'us-east@abc123 2 two'];
      await eventually('all received all', () => received.every((messages) => messages.length === 2), LIMIT_MS);
      for (const messages of received) assert.deepEqual(messages, all);
    } finally {
      await Promise.all([alone, ...clients].map((client) => client.close()));
    }
  });

  it('whichever server is killed, the cluster promotes, ships and agrees; and again when another one is', async () => {
    const cluster = await Cluster.start({
      environment: { TIDAL_STREAM_REPLICAS: '3' },
      natsUrl: (name) => nats.urls(['us-east', 'eu-west', 'ap-south', 'router'].indexOf(name) % 3),
    });
    let entity = 0;
    const write = async (): Promise<string> => {
      const { status, body } = await cluster.post<{ durability: string }>('/signals', {
        entity_id: ++entity,
        signal: 'view',
      });
      assert.equal(status, 200);
      return body.durability;
    };
    try {
      await write();
      await eventually(
        'three servers have a copy of both',
        async () => {
          const streams = [...(await nats.streams()).values()];
          return (
            streams.length === 2 && streams.every(({ replicas, leader }) => replicas === 3 && leader !== undefined)
          );
        },
        LIMIT_MS,
      );
      for (const [round, promoted] of ['eu-west', 'us-east'].entries()) {
        const { leader } = (await nats.streams()).get(STREAM_NAME)!;
        const killed = leader ?? nats.servers[round]!;
        await killed.kill();
        await eventually('writes are in the stream again', async () => (await write()) === 'stream', LIMIT_MS);
        await eventually(
          `${promoted} leads`,
          async () => (await cluster.post('/cluster/promote', { region: promoted })).status === 200,
          LIMIT_MS,
        );
        await write();
        await killed.restart();
        await eventually(
          'the servers agree again',
          async () => {
            const streams = [...(await nats.streams()).values()];
            return streams.length === 2 && streams.every(({ leader: one }) => one !== undefined);
          },
          LIMIT_MS,
        );
      }
      await cluster.converged();
      for (const region of cluster.regionNames) {
        const { regions } = await cluster.status();
        assert.equal(regions.find(({ name }) => name === region)?.applied_events, entity);
      }
    } finally {
      await cluster.stop();
    }
  });
});
