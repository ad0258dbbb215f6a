/** The settings of a router process, parsed once and frozen. */
import type { HttpLimits } from '../observe/http-server.ts';
import type { LogLevel } from '../observe/log.ts';
import { logLevels } from '../observe/log.ts';
import { ConfigError } from './config-error.ts';
import {
  type Address,
  type ConfigSource,
  configOrHelp,
  type Parsed,
  parseAddress,
  readSettings,
  resolvePath,
  type Setting,
} from './settings-table.ts';

export interface RouterConfig {
  readonly listen: Address;
  /** Absolute path. */
  readonly topologyFile: string;
  readonly natsUrl: string;
  /** Base URL of nats-server's monitoring port; absent: `/metrics/nats` is not served. */
  readonly natsMonitorUrl?: string;
  readonly logLevel: LogLevel;
  readonly maxBodyBytes: number;
  readonly maxBodiesBytes: number;
  readonly httpLimits: HttpLimits;
  readonly keepAliveMs: number;
  readonly maxConnections: number;
  /** Of one client address; 0: no limit. */
  readonly maxAddressConnections: number;
  readonly heldWritesLimit: number;
  readonly heldWritesMs: number;
  readonly drainMs: number;
}

const topologyDefault = 'deploy/config/default-cluster.yaml';

const table = {
  listen: {
    env: 'TIDAL_LISTEN',
    flag: 'listen',
    kind: 'text',
    fallback: '127.0.0.1:9500',
    why: 'address of the public HTTP surface; loopback unless told otherwise, because there are no keys yet',
  },
  topology: {
    env: 'TIDAL_TOPOLOGY',
    flag: 'topology',
    kind: 'text',
    fallback: topologyDefault,
    why: 'topology file, YAML',
  },
  nats: { env: 'NATS_URL', flag: 'nats', kind: 'text', fallback: 'nats://127.0.0.1:4222', why: 'the NATS server' },
  nats_monitor: {
    env: 'NATS_MONITOR_URL',
    flag: 'nats-monitor',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'monitoring port of the NATS server, for example http://nats:8222; with it /metrics/nats is served',
  },
  log_level: {
    env: 'TIDAL_LOG_LEVEL',
    flag: 'log-level',
    kind: 'choice',
    choices: logLevels,
    fallback: 'info',
    why: 'least severity that is logged',
  },
  max_body_bytes: {
    env: 'TIDAL_MAX_BODY_BYTES',
    flag: 'max-body-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 1_024,
    max: 2 * 1024 * 1024,
    fallback: 2 * 1024 * 1024,
    why: 'largest body of a public request; regions are sized for bulks of this size',
  },
  max_bodies_bytes: {
    env: 'TIDAL_MAX_BODIES_BYTES',
    flag: 'max-bodies-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 2 * 1024 * 1024,
    fallback: 128 * 1024 * 1024,
    why: 'all write bodies in memory together; more are refused with overloaded',
  },
  max_in_flight: {
    env: 'TIDAL_MAX_IN_FLIGHT',
    flag: 'max-in-flight',
    kind: 'integer',
    unit: 'requests',
    min: 1,
    max: 100_000,
    fallback: 4_096,
    why: 'requests being answered; more are refused with overloaded. Above held-writes-limit, so that holding fits in',
  },
  max_arriving_bodies: {
    env: 'TIDAL_MAX_ARRIVING_BODIES',
    flag: 'max-arriving-bodies',
    kind: 'integer',
    unit: 'requests',
    min: 16,
    max: 100_000,
    fallback: 1_024,
    why: 'request bodies on their way; one more ends the oldest of the address that has the most',
  },
  max_answers_bytes: {
    env: 'TIDAL_MAX_ANSWERS_BYTES',
    flag: 'max-answers-bytes',
    kind: 'integer',
    unit: 'bytes',
    min: 16 * 1024 * 1024,
    fallback: 128 * 1024 * 1024,
    why: 'all answers in memory together; more are refused with overloaded',
  },
  keep_alive_ms: {
    env: 'TIDAL_KEEP_ALIVE_MS',
    flag: 'keep-alive-ms',
    kind: 'integer',
    unit: 'ms',
    min: 5_000,
    max: 3_600_000,
    fallback: 75_000,
    why: 'how long a kept connection may be idle; above the idle time-out of a balancer in front, often 60 s',
  },
  max_connections: {
    env: 'TIDAL_MAX_CONNECTIONS',
    flag: 'max-connections',
    kind: 'integer',
    unit: 'connections',
    min: 16,
    max: 100_000,
    fallback: 10_000,
    why: 'open connections; requests on more are refused with overloaded',
  },
  max_address_connections: {
    env: 'TIDAL_MAX_ADDRESS_CONNECTIONS',
    flag: 'max-address-connections',
    kind: 'integer',
    unit: 'connections',
    min: 0,
    max: 100_000,
    fallback: 2_500,
    why: 'open connections of one client address; more are refused and closed. 0: no limit, where all clients come through one balancer',
  },
  held_writes_limit: {
    env: 'TIDAL_HELD_WRITES_LIMIT',
    flag: 'held-writes-limit',
    kind: 'integer',
    unit: 'writes',
    min: 0,
    max: 100_000,
    fallback: 2_000,
    why: 'writes that wait out a change of leader; more are refused',
  },
  held_writes_ms: {
    env: 'TIDAL_HELD_WRITES_MS',
    flag: 'held-writes-ms',
    kind: 'integer',
    unit: 'ms',
    min: 0,
    max: 60_000,
    fallback: 10_000,
    why: 'how long a write waits out a change of leader: as long as an old leader takes to resume by itself',
  },
  drain_ms: {
    env: 'TIDAL_DRAIN_MS',
    flag: 'drain-ms',
    kind: 'integer',
    unit: 'ms',
    min: 0,
    max: 300_000,
    fallback: 3_000,
    why: 'how long a router that is told to stop goes on serving while /health/ready answers 503, so that balancers take it out first',
  },
} as const satisfies Record<string, Setting>;

export function parseRouterConfig(source: ConfigSource): Parsed<RouterConfig> {
  const read = readSettings('router', table, source);
  if ('help' in read) return read;
  const { values } = read;
  const config: RouterConfig = {
    listen: Object.freeze(parseAddress('router', 'listen', values.listen)),
    topologyFile: resolvePath(values.topology, topologyDefault),
    natsUrl: values.nats,
    ...(values.nats_monitor === '' ? {} : { natsMonitorUrl: parseMonitorUrl(values.nats_monitor) }),
    logLevel: values.log_level as LogLevel,
    maxBodyBytes: values.max_body_bytes,
    maxBodiesBytes: values.max_bodies_bytes,
    httpLimits: Object.freeze({
      inFlight: values.max_in_flight,
      arrivingBodies: values.max_arriving_bodies,
      answersBytes: values.max_answers_bytes,
    }),
    keepAliveMs: values.keep_alive_ms,
    maxConnections: values.max_connections,
    maxAddressConnections: values.max_address_connections,
    heldWritesLimit: values.held_writes_limit,
    heldWritesMs: values.held_writes_ms,
    drainMs: values.drain_ms,
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
