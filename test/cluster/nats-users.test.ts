/** The users of `npm start`'s nats-server: a cluster works with the least that each needs, and none can do more. */
import assert from 'node:assert/strict';
import { connect, type NatsConnection } from 'nats';
import { launcherUser, type NatsUser, regionUser, routerUser } from '../../deploy/local/nats-users.ts';
import { newSecret } from '../../deploy/local/secrets.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster, defaultRegions } from '../harness/processes/cluster.ts';

describe('users of the broker', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  const told = new Acknowledged();
  const users = new Map<string, NatsUser>([
    ['launcher', launcherUser(newSecret())],
    ['router', routerUser(newSecret())],
    ...defaultRegions.map((name): [string, NatsUser] => [name, regionUser(name, newSecret())]),
  ]);
  const connections: NatsConnection[] = [];

  before(async () => {
    const topology = ['failover: automatic', 'failover_after: 3s'];
    cluster = await Cluster.start({ natsUsers: users, topology });
  });
  after(async () => {
    for (const connection of connections) await connection.close();
    await cluster?.stop();
  });

  const as = async (name: string): Promise<NatsConnection> => {
    const { user, password: pass } = users.get(name)!;
    const options = { user, pass, inboxPrefix: `_INBOX.${user}`, noAsyncTraces: true };
    const connection = await connect({ servers: cluster.nats.url, ...options });
    connections.push(connection);
    return connection;
  };
  /** Whether the server lets the user publish there. */
  const mayAsk = async (connection: NatsConnection, subject: string, payload = ''): Promise<boolean> => {
    try {
      await connection.request(subject, payload, { timeout: 5_000 });
      return true;
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'PERMISSIONS_VIOLATION', `${subject}: ${error}`);
      return false;
    }
  };
  const verified = (): Promise<void> =>
    eventually('all regions have one state', async () => {
      const { body } = await cluster.post('/cluster/verify', {});
      return body.converged === true;
    });

  it('writes are confirmed by the stream, promotions and failover work, and all regions have one state', async () => {
    for (let entity = 1; entity <= 8; entity++) assert.equal(await told.view(cluster, entity), 200);
    await eventually('the stream confirms', async () => {
      await told.view(cluster, 1);
      return told.acknowledgements.at(-1)?.durability === 'stream';
    });
    assert.equal((await cluster.post('/cluster/promote', { region: 'eu-west' })).status, 200);
    assert.equal(await told.view(cluster, 2), 200);
    await cluster.kill('eu-west');
    await eventually('another region leads', async () => (await cluster.status()).leader !== 'eu-west');
    await eventually('it accepts', async () => (await told.view(cluster, 3)) === 200);
    await cluster.restart('eu-west');
    await cluster.settled();
    await verified();
  });

  it('a client without a user is refused', async () => {
    await assert.rejects(connect({ servers: cluster.nats.url }), /Authorization Violation/i);
    await assert.rejects(connect({ servers: cluster.nats.url, user: 'router', pass: 'router' }), /Authorization/i);
  });

  it('a region publishes its own origins only, and reads no other’s answers', async () => {
    const region = await as('eu-west');
    for (const subject of [
      'tidal.wal.us-east.aaaaaaaaaaaaa',
      'tidal.wal.us-east@aaaaaaaaaaaaa',
      'tidal.wal.evil.a',
      '$KV.TIDAL_CONTROL.alive.us-east',
      '$KV.TIDAL_CONTROL.lease',
    ]) {
      assert.equal(await mayAsk(region, subject, 'x'), false, subject);
    }
    assert.equal(await mayAsk(region, 'tidal.wal.eu-west.zzzzzzzzzzzzz', 'garbage of its own'), true);
    for (const subject of ['_INBOX.router.>', 'tidal.wal.>', '$KV.TIDAL_CONTROL.>', '>']) {
      const refused = new Promise<string>((resolve) => {
        region.subscribe(subject, { callback: (error) => resolve(String(error?.code)) });
      });
      assert.equal(await refused, 'PERMISSIONS_VIOLATION', subject);
    }
  });

  it('no process of the cluster can delete, purge or change the stream or the control bucket', async () => {
    for (const name of ['us-east', 'router']) {
      const connection = await as(name);
      for (const stream of ['TIDAL_WAL', 'KV_TIDAL_CONTROL']) {
        for (const verb of ['DELETE', 'PURGE', 'UPDATE', 'MSG.DELETE', 'SNAPSHOT', 'RESTORE']) {
          assert.equal(await mayAsk(connection, `$JS.API.STREAM.${verb}.${stream}`, '{}'), false, `${name}: ${verb}`);
        }
      }
      assert.equal(await mayAsk(connection, '$JS.API.CONSUMER.DELETE.TIDAL_WAL.x'), false, name);
    }
    const router = await as('router');
    assert.equal(await mayAsk(router, 'tidal.wal.us-east.aaaaaaaaaaaaa', 'x'), false);
    assert.equal(await mayAsk(router, '$JS.API.CONSUMER.CREATE.TIDAL_WAL', '{}'), false);
  });

  it('a setting that was changed is named, because no process may restore it; writes continue', async () => {
    const launcher = await as('launcher');
    const info = (await launcher.request('$JS.API.STREAM.INFO.TIDAL_WAL')).json<{ config: object }>();
    const change = JSON.stringify({ ...info.config, max_bytes: 64 * 1024 * 1024 });
    assert.equal(
      (await launcher.request('$JS.API.STREAM.UPDATE.TIDAL_WAL', change)).json<{ error?: unknown }>().error,
      undefined,
    );
    await eventually('it is named', async () => {
      const { body } = await cluster.get<{ notes: readonly string[] }>('/health');
      return body.notes.some((note) =>
        /max_bytes of TIDAL_WAL.*may not publish to \$JS\.API\.STREAM\.UPDATE/.test(note),
      );
    });
    await cluster.kill('ap-south');
    await cluster.restart('ap-south');
    assert.equal(await told.view(cluster, 4), 200);
    const back = JSON.stringify(info.config);
    await launcher.request('$JS.API.STREAM.UPDATE.TIDAL_WAL', back);
    await eventually('it is right again', async () =>
      (await cluster.get<{ notes: readonly string[] }>('/health')).body.notes.every(
        (note) => !note.includes('max_bytes'),
      ),
    );
  });

  it('a server that lost its store gets stream and bucket again', async () => {
    await cluster.nats.restart({ wiped: true });
    await eventually(
      'the stream confirms again',
      async () => {
        await told.view(cluster, 5);
        return told.acknowledgements.at(-1)?.durability === 'stream';
      },
      60_000,
    );
    await cluster.settled(60_000);
    await verified();
    await told.check(cluster);
  });
});
