/** The stream contract on a real nats-server, and what only a real connection can show. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'nats';
import { systemClock } from '../../shared/kernel/system.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { CONTROL_BUCKET, STREAM_NAME } from '../../shared/stream/settings.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { NatsServer } from '../harness/processes/nats-server.ts';
import { type Broker, type Client, streamContract } from '../harness/stream/stream-contract.ts';

const settings = { maxBytes: 64 * 1024 * 1024 };

function open(url: string, name: string): Client {
  return connectJetStream({ url, name, clock: systemClock, settings });
}

/** One API request over a connection of its own, as an operator's tool would send it. */
async function ask(url: string, what: string, body: object = {}): Promise<Record<string, unknown>> {
  const connection = await connect({ servers: url });
  try {
    return (await connection.request(`$JS.API.${what}`, JSON.stringify(body))).json();
  } finally {
    await connection.close();
  }
}

async function startBroker(): Promise<Broker> {
  const server = await NatsServer.start();
  const demand = async (what: string): Promise<void> => {
    assert.equal((await ask(server.url, what)).error, undefined, what);
  };
  return {
    connect: (name) => open(server.url, name),
    kill: () => server.kill(),
    restart: (options) => server.restart(options),
    backUp: () => server.backUp(),
    restoreBackup: () => server.restoreBackup(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    deleteStream: () => demand(`STREAM.DELETE.${STREAM_NAME}`),
    purgeStream: () => demand(`STREAM.PURGE.${STREAM_NAME}`),
    changeSettings: async () => {
      const { config } = await ask(server.url, `STREAM.INFO.${STREAM_NAME}`);
      const changed = { ...(config as object), max_msg_size: 10 };
      assert.equal((await ask(server.url, `STREAM.UPDATE.${STREAM_NAME}`, changed)).error, undefined);
    },
    deleteBucket: () => demand(`STREAM.DELETE.KV_${CONTROL_BUCKET}`),
    stop: () => server.stop(),
  };
}

streamContract('nats-server', startBroker);

describe('jetstream', function () {
  this.timeout(20_000);
  let server: NatsServer;

  beforeEach(async () => {
    server = await NatsServer.start();
  });

  afterEach(async () => {
    server.resume();
    await server.stop();
  });

  it('a stream of another configuration is updated to the table, and keeps its messages', async () => {
    const client = open(server.url, 'update');
    await eventually('connected', () => client.stream.connected);
    const old = {
      name: STREAM_NAME,
      subjects: ['tidal.wal.*'],
      max_bytes: 1_000_000,
      allow_direct: true,
      num_replicas: 1,
    };
    await ask(server.url, `STREAM.CREATE.${STREAM_NAME}`, { ...old, retention: 'limits', storage: 'file' });
    const former = await connect({ servers: server.url });
    await former.jetstream().publish('tidal.wal.us-east@aaaaaaaaaa', new Uint8Array([1]));
    await former.close();
    await client.stream.ensure();
    assert.equal((await client.stream.message(1))?.origin, 'us-east@aaaaaaaaaa');
    assert.ok('sequence' in (await client.stream.publish('us-east@bbbbbbbbbb', new Uint8Array([2]), 0)));
    const { config, state } = await ask(server.url, `STREAM.INFO.${STREAM_NAME}`);
    const { max_bytes, discard, allow_direct } = config as Record<string, unknown>;
    assert.deepEqual([max_bytes, discard, allow_direct ?? false], [settings.maxBytes, 'old', false]);
    assert.equal((state as { messages: number }).messages, 2);
    await client.close();
  });

  it('a full stream drops its oldest messages and takes new ones', async () => {
    const client = connectJetStream({
      url: server.url,
      name: 'full',
      clock: systemClock,
      settings: { maxBytes: 1024 * 1024 },
    });
    await eventually('connected', () => client.stream.connected);
    await client.stream.ensure();
    let last = 0;
    for (let i = 0; i < 12; i++) {
      const result = await client.stream.publish('us-east@aaaaaaaaaa', new Uint8Array(200_000), last);
      assert.ok('sequence' in result, JSON.stringify(result));
      last = result.sequence;
    }
    const info = await client.stream.info();
    assert.equal(info.last, 12);
    assert.ok(info.first > 1, `first ${info.first}`);
    assert.equal(await client.stream.message(1), undefined);
    await client.close();
  });

  it('an ephemeral consumer is all that a subscription leaves, and the server forgets it', async () => {
    const client = open(server.url, 'ephemeral');
    await eventually('connected', () => client.stream.connected);
    await client.stream.ensure();
    await client.stream.subscribe({ from: 1, onMessage: async () => {}, onSubscriptionEnd: () => {} });
    const { consumers } = await ask(server.url, `CONSUMER.LIST.${STREAM_NAME}`);
    const [{ config }] = consumers as [{ config: Record<string, unknown> }];
    assert.equal(config.durable_name, undefined);
    assert.equal(config.ack_policy, 'none');
    assert.equal(config.inactive_threshold, 10_000_000_000);
    await client.close();
  });

  describe('a process that closed its client ends by itself', () => {
    let said: string;

    function start(mode: 'subscribed' | 'early') {
      const program = new URL('../harness/processes/close-and-end.js', import.meta.url).pathname;
      const child = spawn(process.execPath, [program, server.url, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
      said = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
      });
      const exited = once(child, 'exit');
      const closes = async (): Promise<void> => {
        child.stdin.end();
        assert.deepEqual(await exited, [0, null]);
      };
      return { closes };
    }

    const says = (text: string) => eventually(`it says ${text}`, () => said.includes(text));

    it('while it is subscribed', async () => {
      const { closes } = start('subscribed');
      await says('subscribed');
      await closes();
    });

    it('after the server was killed', async () => {
      const { closes } = start('subscribed');
      await says('subscribed');
      await server.kill();
      await says('outage: connection to the stream lost');
      await closes();
    });

    it('after a dial to an unresponsive server that timed out', async () => {
      server.pause();
      const { closes } = start('early');
      await says('outage: stream cannot be reached');
      await closes();
    });
  });
});
