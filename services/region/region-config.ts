/** The settings of a region process, parsed once and frozen. */

import {
  type Address,
  type ConfigSource,
  configOrHelp,
  httpLimitsOf,
  type Parsed,
  parseAddress,
  readSettings,
  resolvePath,
  type Setting,
  type Values,
} from '../../shared/config/settings-table.ts';
import { secretSettings } from '../../shared/credentials/internal-secret.ts';
import { tlsSettings } from '../../shared/credentials/tls-settings.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import type { HttpLimits } from '../../shared/http/http-server.ts';
import { assert } from '../../shared/kernel/kernel.ts';
import { logLevels } from '../../shared/observe/log.ts';
import { BULK_LIMIT } from '../../shared/protocol/internal.ts';
import { brokerSettings } from '../../shared/stream/broker-access.ts';
import { serverSettings, serversOf } from '../../shared/stream/servers.ts';
import { regionPattern } from '../../shared/topology/topology.ts';

const schemaDefault = 'deploy/config/default-schema.yaml';
const topologyDefault = 'deploy/config/default-cluster.yaml';
const mebibyte = 1024 * 1024;

/** Stands for no configured limit: more keys than all can be. */
const HALF_OF_KEYS = 1_000_000_001;

const table = {
  region: { env: 'TIDAL_REGION', flag: 'region', kind: 'text', why: 'name of this region in the topology' },
  listen: {
    env: 'TIDAL_LISTEN',
    flag: 'listen',
    kind: 'text',
    fallback: '127.0.0.1:9510',
    why: 'address of the internal API; loopback, because nothing but the cluster may reach it',
  },
  schemaFile: { env: 'TIDAL_SCHEMA', flag: 'schema', kind: 'text', fallback: schemaDefault, why: 'schema file, YAML' },
  topologyFile: {
    env: 'TIDAL_TOPOLOGY',
    flag: 'topology',
    kind: 'text',
    fallback: topologyDefault,
    why: 'topology file, YAML',
  },
  dataDir: {
    env: 'TIDAL_DATA_DIR',
    flag: 'data-dir',
    kind: 'text',
    fallback: '',
    fallbackText: '.tidal/<region>',
    why: 'directory of the store: log, checkpoints, registers; one process a directory',
  },
  ...serverSettings,
  logLevel: {
    env: 'TIDAL_LOG_LEVEL',
    flag: 'log-level',
    kind: 'choice',
    choices: logLevels,
    fallback: 'info',
    why: 'lowest severity that is logged',
  },
  streamMaxBytes: {
    env: 'TIDAL_STREAM_MAX_BYTES',
    flag: 'stream-max-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: mebibyte,
    fallback: 1024 * mebibyte,
    why: 'stored size of the stream; beyond it the oldest messages are removed',
  },
  logMaxBytes: {
    env: 'TIDAL_LOG_MAX_BYTES',
    flag: 'log-max-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 16 * mebibyte,
    fallback: 16 * 1024 * mebibyte,
    why: 'largest size of the LMDB environment; writes beyond it are refused with storage_full',
  },
  logRetentionBytes: {
    env: 'TIDAL_LOG_RETENTION_BYTES',
    flag: 'log-retention-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: mebibyte,
    fallback: 1024 * mebibyte,
    why: 'batches kept for replay and for peers; beyond it the oldest are trimmed once a checkpoint contains them and another region has them',
  },
  checkpointEvents: {
    env: 'TIDAL_CHECKPOINT_EVENTS',
    flag: 'checkpoint-events',
    kind: 'integer',
    unit: 'events',
    min: 1_000,
    max: 1_000_000_000,
    fallback: 250_000,
    why: 'a checkpoint is written after this many events, with many pairs up to four times as many; a start replays about as many',
  },
  checkpointIntervalMs: {
    env: 'TIDAL_CHECKPOINT_INTERVAL_MS',
    flag: 'checkpoint-interval-ms',
    kind: 'integer',
    unit: 'ms',
    min: 1_000,
    max: 86_400_000,
    fallback: 300_000,
    why: 'a checkpoint is written after this time, if there was any event',
  },
  idempotencyKeysLimit: {
    env: 'TIDAL_IDEMPOTENCY_KEYS_LIMIT',
    flag: 'idempotency-keys-limit',
    kind: 'integer',
    unit: 'keys',
    min: 1,
    max: 1_000_000_000,
    fallback: 20_000_000,
    why: 'idempotency keys kept on disk, a bulk counting once; writes under more are refused with storage_full until old ones are removed',
  },
  clientIdempotencyKeys: {
    env: 'TIDAL_CLIENT_IDEMPOTENCY_KEYS',
    flag: 'client-idempotency-keys',
    kind: 'integer',
    unit: 'keys',
    min: 0,
    max: HALF_OF_KEYS,
    fallback: HALF_OF_KEYS,
    fallbackText: 'half of --idempotency-keys-limit',
    why: 'idempotency keys of one client, by its API key or address, and this share of the bytes of all records; further ones are refused with client_keys_full. 0: as many as all',
  },
  maxEntities: {
    env: 'TIDAL_MAX_ENTITIES',
    flag: 'max-entities',
    kind: 'integer',
    unit: 'entities',
    min: 1,
    max: 1_000_000_000,
    fallback: 5_000_000,
    why: 'entities in the state; writes that would add more are refused with state_full. The same in every region. For 2 GiB of memory, of which a million items with text take half',
  },
  maxPairs: {
    env: 'TIDAL_MAX_PAIRS',
    flag: 'max-pairs',
    kind: 'integer',
    unit: 'pairs',
    min: 1,
    max: 1_000_000_000,
    fallback: 10_000_000,
    why: 'pairs (item, signal) in the state; writes that would add more are refused with state_full. The same in every region. For 2 GiB of memory: a cold pair takes about 60 bytes, with an item of its own 124',
  },
  maxFields: {
    env: 'TIDAL_MAX_FIELDS',
    flag: 'max-fields',
    kind: 'integer',
    unit: 'fields',
    min: 256,
    max: 10_000_000,
    fallback: 10_000,
    why: 'distinct metadata fields of all items, each about 3 KB of memory; writes that would add more are refused with state_full. The same in every region',
  },
  maxMemoryBytes: {
    env: 'TIDAL_MAX_MEMORY_BYTES',
    flag: 'max-memory-bytes',
    kind: 'integer',
    unit: 'bytes',
    fallback: 0,
    fallbackText: '80 % of the memory limit of the container, if it has one',
    why: 'resident memory beyond which writes that would add to the state are refused with state_full; mapped files do not count',
  },
  intakeQueueLimit: {
    env: 'TIDAL_INTAKE_QUEUE_LIMIT',
    flag: 'intake-queue-limit',
    kind: 'integer',
    unit: 'events',
    min: 1_000,
    max: 10_000_000,
    fallback: 50_000,
    why: 'events waiting for their group commit; more are refused with overloaded',
  },
  intakeQueueBytes: {
    env: 'TIDAL_INTAKE_QUEUE_BYTES',
    flag: 'intake-queue-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 16 * mebibyte,
    fallback: 128 * mebibyte,
    why: 'bytes of events waiting for their group commit; more are refused with overloaded',
  },
  maxBodiesBytes: {
    env: 'TIDAL_MAX_BODIES_BYTES',
    flag: 'max-bodies-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 16 * mebibyte,
    fallback: 256 * mebibyte,
    why: 'all bodies of internal write requests in memory together; more are refused with overloaded',
  },
  maxArrivingBodies: {
    env: 'TIDAL_MAX_ARRIVING_BODIES',
    flag: 'max-arriving-bodies',
    kind: 'integer',
    unit: 'requests',
    min: 16,
    max: 100_000,
    fallback: 512,
    why: 'request bodies being received; one more aborts the oldest of the address that has the most',
  },
  maxAnswersBytes: {
    env: 'TIDAL_MAX_ANSWERS_BYTES',
    flag: 'max-answers-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 16 * mebibyte,
    fallback: 256 * mebibyte,
    why: 'all answers in memory together; more are refused with overloaded',
  },
  keepAliveMs: {
    env: 'TIDAL_KEEP_ALIVE_MS',
    flag: 'keep-alive-ms',
    kind: 'integer',
    unit: 'ms',
    min: 5_000,
    max: 3_600_000,
    fallback: 75_000,
    why: 'how long a connection may be idle; routers and peers close theirs after 20 s',
  },
  maxConnections: {
    env: 'TIDAL_MAX_CONNECTIONS',
    flag: 'max-connections',
    kind: 'integer',
    unit: 'connections',
    min: 16,
    max: 100_000,
    fallback: 2_000,
    why: 'open connections; requests on more are refused with overloaded',
  },
  maxBodyBytes: {
    env: 'TIDAL_MAX_BODY_BYTES',
    flag: 'max-body-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: mebibyte,
    max: 256 * mebibyte,
    fallback: 8 * mebibyte,
    why: 'largest internal request; the encoding of a 2 MiB bulk by a router is larger, and never beyond this',
  },
  maxInFlight: {
    env: 'TIDAL_MAX_IN_FLIGHT',
    flag: 'max-in-flight',
    kind: 'integer',
    unit: 'requests',
    min: 1,
    max: 100_000,
    fallback: 1_000,
    why: 'requests being answered; more are refused with overloaded',
  },
  cursorSecret: {
    env: 'TIDAL_CURSOR_SECRET',
    kind: 'text',
    fallback: '',
    fallbackText: 'derived from the internal secret',
    why: 'signs the cursors of pages; the same in every region. Without it and without an internal secret a known one detects damaged and edited cursors, not forged ones',
  },
  handOverMs: {
    env: 'TIDAL_HAND_OVER_MS',
    flag: 'hand-over-ms',
    kind: 'integer',
    unit: 'ms',
    min: 0,
    max: 60_000,
    fallback: 6_000,
    why: 'how long a stopping leader waits until another region leads; 0: it stops at once. Together with the rest of a stop below the 10 s of docker stop',
  },
  ...secretSettings,
  ...tlsSettings,
  ...brokerSettings,
} as const satisfies Record<string, Setting>;

/** Names of the environment variables that a region reads. */
export const regionEnvironment: readonly string[] = Object.values(table).map(({ env }) => env);

assert(table.intakeQueueLimit.fallback >= BULK_LIMIT, 'the intake queue of a region has capacity for every bulk');

/** The table's values; paths are absolute. */
export type RegionConfig = Omit<Values<typeof table>, 'listen'> & {
  readonly listen: Address;
  readonly httpLimits: HttpLimits;
};

export function parseRegionConfig(source: ConfigSource): Parsed<RegionConfig> {
  const read = readSettings('region', table, source);
  if ('help' in read) return read;
  const { values } = read;
  if (!regionPattern.test(values.region)) {
    throw new ConfigError(
      `region: --region must match ${regionPattern.source}, for example us-east, not "${values.region}"`,
    );
  }
  serversOf('region', values.natsUrl);
  const { clientIdempotencyKeys: own, idempotencyKeysLimit: all } = values;
  const config: RegionConfig = {
    ...values,
    listen: Object.freeze(parseAddress('region', 'listen', values.listen)),
    schemaFile: resolvePath(values.schemaFile, schemaDefault),
    topologyFile: resolvePath(values.topologyFile, topologyDefault),
    dataDir: resolvePath(values.dataDir === '' ? `.tidal/${values.region}` : values.dataDir, ''),
    httpLimits: httpLimitsOf(values),
    clientIdempotencyKeys: own === HALF_OF_KEYS ? Math.ceil(all / 2) : own,
  };
  return { config: Object.freeze(config) };
}

export function loadRegionConfig(): RegionConfig {
  return configOrHelp(parseRegionConfig);
}
