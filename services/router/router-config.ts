/** The settings of a router process, parsed once and frozen. */

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
import { CONNECTION_REQUESTS, type HttpLimits } from '../../shared/http/http-server.ts';
import { logLevels } from '../../shared/observe/log.ts';
import { HELD_WRITES_MS } from '../../shared/protocol/deadlines.ts';
import { brokerSettings } from '../../shared/stream/broker-access.ts';
import { serverSettings, serversOf } from '../../shared/stream/servers.ts';

import { type CorsConfig, corsSettings, parseCors } from './cors-settings.ts';
import { type AccessConfig, accessSettings, parseAccess, publicTlsSettings } from './public-access.ts';

const topologyDefault = 'deploy/config/default-cluster.yaml';

const table = {
  listen: {
    env: 'TIDAL_LISTEN',
    flag: 'listen',
    kind: 'text',
    fallback: '127.0.0.1:9500',
    why: 'address of the public HTTP surface; a public one needs a key',
  },
  topologyFile: {
    env: 'TIDAL_TOPOLOGY',
    flag: 'topology',
    kind: 'text',
    fallback: topologyDefault,
    why: 'topology file, YAML',
  },
  ...serverSettings,
  natsMonitorUrl: {
    env: 'NATS_MONITOR_URL',
    flag: 'nats-monitor',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'monitoring port of the NATS server, for example http://nats:8222; with it /metrics/nats is served',
  },
  logLevel: {
    env: 'TIDAL_LOG_LEVEL',
    flag: 'log-level',
    kind: 'choice',
    choices: logLevels,
    fallback: 'info',
    why: 'lowest severity that is logged',
  },
  maxBodyBytes: {
    env: 'TIDAL_MAX_BODY_BYTES',
    flag: 'max-body-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 1_024,
    max: 2 * 1024 * 1024,
    fallback: 2 * 1024 * 1024,
    why: 'largest body of a public request; regions are sized for bulks of this size',
  },
  maxBodiesBytes: {
    env: 'TIDAL_MAX_BODIES_BYTES',
    flag: 'max-bodies-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 2 * 1024 * 1024,
    fallback: 128 * 1024 * 1024,
    why: 'all write bodies in memory together; more are refused with overloaded',
  },
  maxInFlight: {
    env: 'TIDAL_MAX_IN_FLIGHT',
    flag: 'max-in-flight',
    kind: 'integer',
    unit: 'requests',
    min: 1,
    max: 100_000,
    fallback: 4_096,
    why: 'requests being answered; more are refused with overloaded. Above held-writes-limit, because held writes count',
  },
  maxAddressInFlight: {
    env: 'TIDAL_MAX_ADDRESS_IN_FLIGHT',
    flag: 'max-address-in-flight',
    kind: 'integer',
    unit: 'requests',
    min: 0,
    max: 100_000,
    fallback: 2_048,
    why: 'requests of one client address being answered; more are refused with overloaded. 0: no limit, for clients behind one load balancer',
  },
  maxConnectionRequests: {
    env: 'TIDAL_MAX_CONNECTION_REQUESTS',
    flag: 'max-connection-requests',
    kind: 'integer',
    unit: 'requests',
    min: 1,
    max: 10_000,
    fallback: CONNECTION_REQUESTS,
    why: 'requests of one connection being answered; while more were sent on it, nothing is read from it',
  },
  maxArrivingBodies: {
    env: 'TIDAL_MAX_ARRIVING_BODIES',
    flag: 'max-arriving-bodies',
    kind: 'integer',
    unit: 'requests',
    min: 16,
    max: 100_000,
    fallback: 1_024,
    why: 'request bodies being received; one more aborts the oldest of the address that has the most',
  },
  maxAnswersBytes: {
    env: 'TIDAL_MAX_ANSWERS_BYTES',
    flag: 'max-answers-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 16 * 1024 * 1024,
    fallback: 128 * 1024 * 1024,
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
    why: 'how long a connection may be idle; above the idle timeout of a load balancer in front, often 60 s',
  },
  maxConnections: {
    env: 'TIDAL_MAX_CONNECTIONS',
    flag: 'max-connections',
    kind: 'integer',
    unit: 'connections',
    min: 16,
    max: 100_000,
    fallback: 10_000,
    why: 'open connections; requests on more are refused with overloaded',
  },
  maxAddressConnections: {
    env: 'TIDAL_MAX_ADDRESS_CONNECTIONS',
    flag: 'max-address-connections',
    kind: 'integer',
    unit: 'connections',
    min: 0,
    max: 100_000,
    fallback: 2_500,
    why: 'open connections of one client address; more are refused and closed. 0: no limit, for clients behind one load balancer',
  },
  heldWritesLimit: {
    env: 'TIDAL_HELD_WRITES_LIMIT',
    flag: 'held-writes-limit',
    kind: 'integer',
    unit: 'writes',
    min: 0,
    max: 100_000,
    fallback: 2_000,
    why: 'writes that are held during a change of leader; more are refused',
  },
  heldWritesMs: {
    env: 'TIDAL_HELD_WRITES_MS',
    flag: 'held-writes-ms',
    kind: 'integer',
    unit: 'ms',
    min: 0,
    max: 60_000,
    fallback: HELD_WRITES_MS,
    why: 'how long a write is held during a change of leader: as long as an old leader takes to resume by itself',
  },
  maxLiveStreams: {
    env: 'TIDAL_MAX_LIVE_STREAMS',
    flag: 'max-live-streams',
    kind: 'integer',
    unit: 'streams',
    min: 0,
    max: 1_000,
    fallback: 32,
    why: 'open streams of GET /cluster/live, which a console reads; more are refused with overloaded',
  },
  drainMs: {
    env: 'TIDAL_DRAIN_MS',
    flag: 'drain-ms',
    kind: 'integer',
    unit: 'ms',
    min: 0,
    max: 300_000,
    fallback: 3_000,
    why: 'how long a stopping router still serves while /health/ready answers 503, so that load balancers remove it first',
  },
  ...corsSettings,
  ...secretSettings,
  ...tlsSettings,
  ...publicTlsSettings,
  ...accessSettings,
  ...brokerSettings,
} as const satisfies Record<string, Setting>;

/** Names of the environment variables that a router reads. */
export const routerEnvironment: readonly string[] = Object.values(table).map(({ env }) => env);

/** The table's values; paths are absolute. */
export type RouterConfig = Omit<
  Values<typeof table>,
  'listen' | 'natsMonitorUrl' | 'apiKey' | 'apiKeysFile' | keyof typeof corsSettings
> &
  AccessConfig &
  CorsConfig & {
    readonly listen: Address;
    /** Absent: `/metrics/nats` is not served. */
    readonly natsMonitorUrl?: string;
    readonly httpLimits: HttpLimits;
  };

export function parseRouterConfig(source: ConfigSource): Parsed<RouterConfig> {
  const read = readSettings('router', table, source);
  if ('help' in read) return read;
  const { natsMonitorUrl, apiKey, apiKeysFile, corsOrigins, corsMethods, corsHeaders, ...values } = read.values;
  const listen = parseAddress('router', 'listen', values.listen);
  serversOf('router', values.natsUrl);
  const config: RouterConfig = {
    ...values,
    ...parseAccess('router', listen, { ...values, apiKey, apiKeysFile }),
    ...parseCors('router', { corsOrigins, corsMethods, corsHeaders }),
    listen: Object.freeze(listen),
    topologyFile: resolvePath(values.topologyFile, topologyDefault),
    ...(natsMonitorUrl === '' ? {} : { natsMonitorUrl: parseMonitorUrl(natsMonitorUrl) }),
    httpLimits: httpLimitsOf(values),
  };
  return { config: Object.freeze(config) };
}

function parseMonitorUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.origin;
  throw new ConfigError(`router: --nats-monitor must be a base URL such as http://nats:8222, not "${text}"`);
}

export function loadRouterConfig(): RouterConfig {
  return configOrHelp(parseRouterConfig);
}
