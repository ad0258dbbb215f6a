/**
 * Starts a router on the real world: system clock, JetStream, HTTP links. Serves as soon as its port is open, whether or not NATS
 * and the regions are reachable.
 */

import { readFile } from 'node:fs/promises';
import { openCertificates } from '../../shared/certificates/certificate-watch.ts';
import { readConfigFile } from '../../shared/config/yaml-file.ts';
import { openInternalSecret } from '../../shared/credentials/internal-secret.ts';
import { internalTls } from '../../shared/credentials/tls-settings.ts';
import { httpPoolsWith } from '../../shared/http/http-pool.ts';
import { listen } from '../../shared/http/http-server.ts';
import { onReload } from '../../shared/kernel/ending.ts';
import { type Clock, randomName, sleep } from '../../shared/kernel/kernel.ts';
import type { Service } from '../../shared/kernel/lifecycle.ts';
import { systemRandom as random, systemClock, systemEventLoop } from '../../shared/kernel/system.ts';
import { DRILL_KEY, JOURNAL_KEY } from '../../shared/leadership/leadership.ts';
import { createLog, type Log } from '../../shared/observe/log.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { TurnWatch } from '../../shared/observe/turn-watch.ts';
import { OWN_VERSION } from '../../shared/protocol/version.ts';
import { brokerAccess } from '../../shared/stream/broker-access.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { brokerCertificates, checkIdentity } from '../../shared/stream/jetstream-access.ts';
import { loadTopology } from '../../shared/topology/parse-topology.ts';
import { createAskBroker } from './broker/ask-broker.ts';
import type { BrokerMetrics } from './broker/broker.ts';
import { createBrokerMetrics } from './broker/broker-metrics.ts';
import { readConsoleFiles } from './console/console-files.ts';
import type { KeySettings, KeysSource } from './keys/keys.ts';
import { createHttpRegionLink } from './links/http-region-link.ts';
import { publicTls } from './public-access.ts';
import { createRouter } from './router.ts';
import type { RouterConfig } from './router-config.ts';

/** How long a stop waits for held writes: below the limit after which the server closes its connections. */
const HELD_LIMIT_MS = 4_000;

export interface StartRouterOptions {
  readonly config: RouterConfig;
  readonly log: Log;
  /** A test sets it wrong. */
  readonly clock?: Clock;
}

/** A shorter secret can be guessed. */
const SHORT_SECRET_CHARACTERS = 16;

export interface RunningRouter extends Service {
  readonly url: string;
}

export async function startRouter({ config, log, clock = systemClock }: StartRouterOptions): Promise<RunningRouter> {
  const brokerMetrics = (url: string): BrokerMetrics => createBrokerMetrics({ ask: createAskBroker({ url, clock }) });
  const access = brokerAccess(config);
  checkIdentity(access, clock.nowMs());
  const files = { internal: internalTls(config), nats: brokerCertificates(access), public: publicTls(config) };
  const topology = loadTopology(config.topologyFile, { tls: files.internal !== undefined });
  const keys = keySettingsOf(config, log);
  const name = randomName(random, 8);
  const metrics = createMetrics({ process: 'router', name: 'router', version: OWN_VERSION });
  const secret = openInternalSecret({ program: 'router', values: config, clock, log, metrics });
  const internalKeys = secret.keys;
  const certificates = openCertificates({ files, clock, log, metrics });
  const openPool = httpPoolsWith(certificates.internal);
  const turns = new TurnWatch({ clock, loop: systemEventLoop, log, metrics });
  const nats = connectJetStream({
    url: config.natsUrl,
    access,
    name: 'router',
    clock,
    // The router never creates the stream; the regions define its size.
    settings: { maxBytes: -1, replicas: Number(config.streamReplicas) },
    internalKeys,
    log,
  });
  const router = createRouter({
    ...config,
    clock,
    random,
    log,
    metrics,
    turns,
    control: nats.control,
    journal: nats.keys(JOURNAL_KEY),
    drillKey: nats.keys(DRILL_KEY),
    failover: topology.failover === undefined ? undefined : { ...topology.failover, keys: nats.keys },
    broker: config.natsMonitorUrl === undefined ? undefined : brokerMetrics(config.natsMonitorUrl),
    keys,
    console: { files: readConsoleFiles(), maxLiveStreams: config.maxLiveStreams },
    // Audit lines are written whatever the level of the log.
    auditLog: createLog({ name: 'router', level: 'info', clock }),
    topology,
    links: new Map(
      topology.regions.map((entry) => [
        entry.name,
        createHttpRegionLink({ entry, clock, router: name, internalKeys, openPool }),
      ]),
    ),
  });
  const close = async (): Promise<void> => {
    await router.close();
    await nats.close();
    await secret.stop();
    await certificates.stop();
    turns.stop();
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
      maxAddressConnections: config.maxAddressConnections,
      maxConnectionRequests: config.maxConnectionRequests,
      keepAliveMs: config.keepAliveMs,
      tls: certificates.public && { certificates: certificates.public },
    });
    router.start();
    if (config.apiKeysFile !== undefined) onReload(() => void router.reloadKeys());
    if (certificates.reload !== undefined) onReload(certificates.reload);
    return {
      url: server.url,
      async stop(together) {
        router.leave();
        await sleep(clock, config.drainMs, together);
        // Writes that wait for a change of leader get some time; then they are refused, not disconnected.
        const closed = server.close();
        await Promise.race([closed, sleep(clock, HELD_LIMIT_MS, together)]);
        router.drain();
        await closed;
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Throws `ConfigError` if the keys file cannot be read. */
function keySettingsOf({ apiKey, apiKeysFile, metricsAccess }: RouterConfig, log: Log): KeySettings {
  if (apiKey !== undefined && apiKey.length < SHORT_SECRET_CHARACTERS) {
    log.warn(`TIDAL_API_KEY has fewer than ${SHORT_SECRET_CHARACTERS} characters and can be guessed`);
  }
  const source = (path: string): KeysSource => ({
    path,
    text: readConfigFile(path),
    read: () => readFile(path, 'utf8'),
  });
  return {
    single: apiKey,
    source: apiKeysFile === undefined ? undefined : source(apiKeysFile),
    openMetrics: metricsAccess === 'open',
  };
}
