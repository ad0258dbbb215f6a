/**
 * The broker's metrics in Prometheus' text format. Each scrape fills a registry of its own: the broker's counters are copied
 * unchanged and restart at 0 with its process, as Prometheus expects.
 */
import { Fault } from '../../../shared/errors/errors.ts';
import { createMetrics, type Metrics } from '../../../shared/observe/metrics.ts';
import type { AskBroker, BrokerFacts, BrokerMetrics } from './broker.ts';

export function createBrokerMetrics({ ask }: { readonly ask: AskBroker }): BrokerMetrics {
  return {
    async render() {
      const facts = await ask().catch((error: unknown) => {
        if (error instanceof Fault) return undefined;
        throw error;
      });
      const metrics = createMetrics({ process: 'nats', name: 'nats', nodeMetrics: false });
      metrics.gauge({ name: 'tidal_nats_up', help: '1 when the broker answered this scrape.' }).set(facts ? 1 : 0);
      if (facts !== undefined) fill(metrics, facts);
      return metrics.render();
    },
  };
}

function fill(metrics: Metrics, { server, jetStream }: BrokerFacts): void {
  const gauge = (name: string, help: string, value: number): void => metrics.gauge({ name, help }).set(value);
  const counter = (name: string, help: string, value: number): void => metrics.counter({ name, help }).inc(value);

  gauge(
    'tidal_nats_start_time_seconds',
    'When the broker’s process started, Unix time.',
    Date.parse(server.start) / 1_000,
  );
  gauge('tidal_nats_connections', 'Clients connected to the broker.', server.connections);
  gauge('tidal_nats_memory_bytes', 'Resident memory of the broker.', server.mem);
  counter('tidal_nats_received_messages_total', 'Messages the broker received.', server.in_msgs);
  counter('tidal_nats_sent_messages_total', 'Messages the broker sent.', server.out_msgs);
  counter('tidal_nats_received_bytes_total', 'Bytes the broker received.', server.in_bytes);
  counter('tidal_nats_sent_bytes_total', 'Bytes the broker sent.', server.out_bytes);
  counter(
    'tidal_nats_slow_consumers_total',
    'Clients the broker dropped for reading too slowly.',
    server.slow_consumers,
  );
  gauge('tidal_nats_jetstream_storage_bytes', 'Bytes of all streams on the broker’s disk.', jetStream.storage);
  gauge(
    'tidal_nats_jetstream_storage_limit_bytes',
    'Bytes the broker lets all streams take.',
    jetStream.config.max_storage,
  );
  counter('tidal_nats_jetstream_api_requests_total', 'Requests to the JetStream API.', jetStream.api.total);
  counter('tidal_nats_jetstream_api_errors_total', 'Requests to the JetStream API that failed.', jetStream.api.errors);

  const perStream = (name: string, help: string) => metrics.gauge({ name, help, labels: ['stream'] });
  const messages = perStream('tidal_nats_stream_messages', 'Messages the stream holds.');
  const bytes = perStream('tidal_nats_stream_bytes', 'Bytes the stream holds.');
  const first = perStream('tidal_nats_stream_first_sequence', 'Stream sequence of the oldest message held.');
  const last = perStream('tidal_nats_stream_last_sequence', 'Stream sequence of the newest message.');
  const consumers = perStream('tidal_nats_stream_consumers', 'Consumers of the stream.');
  const streams = (jetStream.account_details ?? []).flatMap((account) => account.stream_detail ?? []);
  for (const { name: stream, state } of streams) {
    messages.set({ stream }, state.messages);
    bytes.set({ stream }, state.bytes);
    first.set({ stream }, state.first_seq);
    last.set({ stream }, state.last_seq);
    consumers.set({ stream }, state.consumer_count);
  }
}
