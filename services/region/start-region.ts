/** Joins configuration, the real clock, LMDB, NATS and the peers into one running region. */
import { join } from 'node:path';
import { openCertificates } from '../../shared/certificates/certificate-watch.ts';
import { makePrivateDirectory } from '../../shared/config/make-directory.ts';
import { openInternalSecret } from '../../shared/credentials/internal-secret.ts';
import { internalTls } from '../../shared/credentials/tls-settings.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import { httpPoolsWith } from '../../shared/http/http-pool.ts';
import { listen } from '../../shared/http/http-server.ts';
import { onReload } from '../../shared/kernel/ending.ts';
import type { Clock } from '../../shared/kernel/kernel.ts';
import type { Service } from '../../shared/kernel/lifecycle.ts';
import { nextTurn, systemRandom as random, systemClock, systemEventLoop } from '../../shared/kernel/system.ts';
import { aliveKey } from '../../shared/leadership/leadership.ts';
import type { Log } from '../../shared/observe/log.ts';
import { createMetrics } from '../../shared/observe/metrics.ts';
import { TurnWatch } from '../../shared/observe/turn-watch.ts';
import { OWN_VERSION } from '../../shared/protocol/version.ts';
import { brokerAccess } from '../../shared/stream/broker-access.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import { brokerCertificates, checkIdentity } from '../../shared/stream/jetstream-access.ts';
import type { Stream } from '../../shared/stream/stream.ts';
import { loadTopology } from '../../shared/topology/parse-topology.ts';
import { OPEN_PATHS } from './http/internal-gate.ts';
import { createHttpPeerLink } from './peers/http-peer-link.ts';
import { threadRebuild } from './rebuild/rebuild-thread.ts';
import type { RegionConfig } from './region-config.ts';
import { createRegionHost } from './region-host.ts';
import { residentMemory } from './resident-memory/resident-memory.ts';
import { loadSchema } from './schema/parse-schema.ts';
import { analysisOf } from './state/text/analysis/analysis.ts';
import { threadVectors } from './state/vectors/vector-thread.ts';
import { createLmdbStoreHome } from './store/lmdb-store-home.ts';
import type { Store } from './store/store.ts';

export interface StartOptions {
  readonly config: RegionConfig;
  readonly log: Log;
  /** A test sets it wrong. */
  readonly clock?: Clock;
  /** Wrappers of the real store and stream, for a test that kills the process between two steps of the write path. */
  readonly wrapStore?: (store: Store) => Store;
  readonly wrapStream?: (stream: Stream) => Stream;
}

export async function startRegion(options: StartOptions): Promise<Service> {
  const { config, log, clock = systemClock, wrapStore, wrapStream } = options;
  const schema = loadSchema(config.schemaFile);
  const access = brokerAccess(config);
  checkIdentity(access, clock.nowMs());
  const files = { internal: internalTls(config), nats: brokerCertificates(access) };
  const topology = loadTopology(config.topologyFile, { tls: files.internal !== undefined });
  const names = topology.regions.map(({ name }) => name);
  if (!names.includes(config.region)) {
    throw new ConfigError(`${config.topologyFile}: there is no region ${config.region}; known: ${names.join(', ')}`);
  }
  const metrics = createMetrics({ process: 'region', name: config.region, version: OWN_VERSION });
  const secret = openInternalSecret({ program: 'region', values: config, clock, log, metrics });
  const internalKeys = secret.keys;
  const certificates = openCertificates({ files, clock, log, metrics });
  const openPool = httpPoolsWith(certificates.internal);
  const turns = new TurnWatch({ clock, loop: systemEventLoop, log, metrics });
  makePrivateDirectory(config.dataDir);
  const nats = connectJetStream({
    url: config.natsUrl,
    access,
    name: config.region,
    clock,
    settings: { maxBytes: config.streamMaxBytes, replicas: Number(config.streamReplicas) },
    internalKeys,
    log,
  });
  const links = topology.regions
    .filter(({ name }) => name !== config.region)
    .map(({ name, url }) => createHttpPeerLink({ region: name, url, clock, internalKeys, openPool }));
  const region = await createRegionHost({
    ...config,
    internalKeys,
    clock,
    random,
    log,
    metrics,
    home: createLmdbStoreHome({ path: config.dataDir, clock }),
    wrapStore,
    stream: wrapStream?.(nats.stream) ?? nats.stream,
    control: nats.control,
    alive: topology.failover === undefined ? undefined : nats.keys(aliveKey(config.region)),
    schema,
    links,
    regions: [...names, ...(topology.formerRegions ?? [])],
    stateLimits: {
      entities: config.maxEntities,
      pairs: config.maxPairs,
      fields: config.maxFields,
      memory: residentMemory({ maxBytes: config.maxMemoryBytes }),
    },
    openVectors: threadVectors({ path: join(config.dataDir, 'vectors') }),
    openRebuild: () =>
      threadRebuild({
        fieldNames: schema.textFields.map(({ name }) => name),
        analyses: schema.textFields.map(analysisOf),
      }),
    nextTurn,
    turns,
    onFatal(error) {
      // Unflushed writes were not acknowledged; continuing would be unsafe.
      log.error('log not writable, stopping', { error: messageOf(error) });
      process.exit(1);
    },
  });
  const server = await listen({
    app: region.app,
    ...config.listen,
    log,
    clock,
    random,
    metrics,
    maxConnections: config.maxConnections,
    keepAliveMs: config.keepAliveMs,
    halfOpen: false,
    tls: certificates.internal && { certificates: certificates.internal, clients: { openPaths: OPEN_PATHS } },
  });
  region.start();
  if (certificates.reload !== undefined) onReload(certificates.reload);
  return {
    async stop(together) {
      await region.stepDown(config.handOverMs, together);
      await server.close();
      await region.stop();
      await nats.close();
      await Promise.all(links.map((link) => link.close()));
      await secret.stop();
      await certificates.stop();
      turns.stop();
    },
  };
}
