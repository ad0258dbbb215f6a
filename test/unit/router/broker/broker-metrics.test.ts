import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAskBroker } from '../../../../services/router/broker/ask-broker.ts';
import type { BrokerFacts } from '../../../../services/router/broker/broker.ts';
import { createBrokerMetrics } from '../../../../services/router/broker/broker-metrics.ts';
import { parseRouterConfig } from '../../../../services/router/router-config.ts';
import { Fault } from '../../../../shared/errors/errors.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';

const facts: BrokerFacts = {
  server: {
    server_name: 'tidal-nats',
    start: '2026-01-02T03:04:05.5Z',
    connections: 4,
    mem: 1_000,
    in_msgs: 11,
    out_msgs: 12,
    in_bytes: 13,
    out_bytes: 14,
    slow_consumers: 0,
  },
  jetStream: {
    storage: 2_000,
    config: { max_storage: 3_000 },
    api: { total: 20, errors: 1 },
    account_details: [
      {
        stream_detail: [
          { name: 'TIDAL_WAL', state: { messages: 5, bytes: 600, first_seq: 3, last_seq: 7, consumer_count: 3 } },
        ],
      },
    ],
  },
};

/** Series and value of every sample, without the labels every series has. */
function samples(text: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const [, series, value] = /^(\S+) (\S+)$/.exec(line) ?? [];
    if (series === undefined) continue;
    found[series.replace(/(stream="[^"]+",)?process="nats",name="nats",?/, '$1').replace('{}', '')] = Number(value);
  }
  return found;
}

describe('the broker’s metrics', () => {
  it('are what the broker said, a new answer at each scrape', async () => {
    let received = 10;
    const broker = createBrokerMetrics({
      ask: async () => ({ ...facts, server: { ...facts.server, in_msgs: received } }),
    });
    const first = samples((await broker.render()).text);
    assert.equal(first.tidal_nats_up, 1);
    assert.equal(first.tidal_nats_received_messages_total, 10);
    assert.equal(first.tidal_nats_start_time_seconds, Date.UTC(2026, 0, 2, 3, 4, 5, 500) / 1_000);
    assert.equal(first.tidal_nats_jetstream_storage_limit_bytes, 3_000);
    const stream = Object.entries(first).filter(([series]) => series.includes('TIDAL_WAL'));
    assert.deepEqual(
      stream.map(([, value]) => value),
      [5, 600, 3, 7, 3],
    );
    received = 4;
    assert.equal(
      samples((await broker.render()).text).tidal_nats_received_messages_total,
      4,
      'a restart counts from 0',
    );
  });

  it('say that the broker is away, and nothing else, when it does not answer', async () => {
    const broker = createBrokerMetrics({
      ask: () => Promise.reject(new Fault('no_answer', 'refused')),
    });
    assert.deepEqual(samples((await broker.render()).text), { tidal_nats_up: 0 });
  });

  it('hide no mistake of our own behind that', async () => {
    const broker = createBrokerMetrics({ ask: () => Promise.reject(new TypeError('ours')) });
    await assert.rejects(broker.render(), TypeError);
  });

  it('are a Fault if the answer is an error or not JSON, or there is none', async () => {
    let answer: { status: number; body: string } = { status: 200, body: '' };
    const server = createServer((_request, response) => {
      response.writeHead(answer.status).end(answer.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = createAskBroker({ url, clock });
    try {
      answer = { status: 200, body: '{"connections":1}' };
      assert.equal((await ask()).server.connections, 1);
      for (const wrong of [
        { status: 500, body: '{}' },
        { status: 200, body: 'hello' },
      ]) {
        answer = wrong;
        await assert.rejects(ask(), Fault);
      }
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await assert.rejects(ask(), Fault);
  });

  it('need a base URL that is one', () => {
    const parse = (url: string) => parseRouterConfig({ args: ['--nats-monitor', url], env: {} });
    const parsed = parse('http://nats:8222/');
    assert.ok('config' in parsed);
    assert.equal(parsed.config.natsMonitorUrl, 'http://nats:8222');
    assert.throws(() => parse('nats:8222'), /http:\/\/nats:8222/);
    const absent = parseRouterConfig({ args: [], env: {} });
    assert.ok('config' in absent && !('natsMonitorUrl' in absent.config));
  });
});
