/**
 * Starts a router on the real world: system clock, JetStream, HTTP links. Serves as soon as its port is open, whether or
 * not NATS and the regions are there.
 */
import type { RouterConfig } from '../../shared/config/router-config.ts';
import { randomName } from '../../shared/kernel/kernel.ts';
import type { Service } from '../../shared/kernel/lifecycle.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/kernel/system.ts';
import { listen } from '../../shared/observe/http-server.ts';
import type { Log } from '../../shared/observe/log.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { loadTopology } from '../../shared/schema/parse-topology.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { createAskBroker } from './broker/ask-broker.ts';
import type { BrokerMetrics } from './broker/broker.ts';
import { createBrokerMetrics } from './broker/broker-metrics.ts';
import { createHttpRegionLink } from './forward/http-region-link.ts';
import { createRouter } from './router.ts';

export interface StartRouterOptions {
  readonly config: RouterConfig;
  readonly log: Log;
}

export interface RunningRouter extends Service {
  readonly url: string;
}

const brokerMetrics = (url: string): BrokerMetrics => createBrokerMetrics({ ask: createAskBroker({ url, clock }) });

export async function startRouter({ config, log }: StartRouterOptions): Promise<RunningRouter> {
  const topology = loadTopology(config.topologyFile);
  const name = randomName(random, 8);
  const metrics = createMetrics({ process: 'router', name: 'router' });
  const nats = connectJetStream({
    url: config.natsUrl,
    name: 'router',
    clock,
    // The router never creates the stream; the regions bring its size.
    settings: { maxBytes: -1 },
    log,
  });
  const router = createRouter({
    clock,
    random,
    log,
    metrics,
    control: nats.control,
    failover: topology.failover === undefined ? undefined : { ...topology.failover, keys: nats.keys },
    broker: config.natsMonitorUrl === undefined ? undefined : brokerMetrics(config.natsMonitorUrl),
    topology,
    links: new Map(topology.regions.map((entry) => [entry.name, createHttpRegionLink({ entry, clock, router: name })])),
    maxBodyBytes: config.maxBodyBytes,
    maxBodiesBytes: config.maxBodiesBytes,
    httpLimits: config.httpLimits,
    heldWritesLimit: config.heldWritesLimit,
    heldWritesMs: config.heldWritesMs,
  });
  const close = async (): Promise<void> => {
    await router.close();
    await nats.close();
  };
  try {
    const server = await listen({
      app: router.app,
      ...config.listen,
      log,
      clock,
      random,
      metrics,
      maxConnections: config.maxConnections,
      keepAliveMs: config.keepAliveMs,
    });
    router.start();
    return {
      url: server.url,
      async stop() {
        router.drain();
        await server.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
