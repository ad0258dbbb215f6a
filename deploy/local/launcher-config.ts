/** The settings of the launcher (`npm start`, and the image's `cluster`), parsed once and frozen. */

import {
  type AccessConfig,
  accessSettings,
  parseAccess,
  publicTlsSettings,
} from '../../services/router/public-access.ts';
import {
  type Address,
  type ConfigSource,
  configOrHelp,
  type Parsed,
  parseAddress,
  readSettings,
  resolvePath,
  type Setting,
  type Values,
} from '../../shared/config/settings-table.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';

const schemaDefault = 'deploy/config/default-schema.yaml';
const topologyDefault = 'deploy/config/default-cluster.yaml';

/** nats-server listens this far above the router; the regions are in between. */
export const natsPortDistance = 20;

const table = {
  listen: {
    env: 'TIDAL_LISTEN',
    flag: 'listen',
    kind: 'text',
    fallback: '127.0.0.1:9500',
    why: 'address of the public HTTP surface, a public one needs a key; regions take the ports above it, nats-server the one 20 above, on loopback',
  },
  schemaFile: { env: 'TIDAL_SCHEMA', flag: 'schema', kind: 'text', fallback: schemaDefault, why: 'schema file, YAML' },
  topologyFile: {
    env: 'TIDAL_TOPOLOGY',
    flag: 'topology',
    kind: 'text',
    fallback: topologyDefault,
    why: 'topology file, YAML; names, order and leader are used; urls are ignored, because all regions run here',
  },
  dataDir: {
    env: 'TIDAL_DATA_DIR',
    flag: 'data-dir',
    kind: 'text',
    fallback: '.tidal',
    why: 'directory of all data of the cluster; an existing one is used again',
  },
  natsServer: {
    env: 'NATS_SERVER',
    flag: 'nats-server',
    kind: 'text',
    fallback: '',
    fallbackText: 'found or fetched',
    why: 'path of the nats-server to run, 2.10 or newer',
  },
  ...accessSettings,
} as const satisfies Record<string, Setting>;

const verboseFlag = '--verbose';

/** The table's values; paths are absolute. `listen` is the router's: the other ports are counted from it. */
export type LauncherConfig = Omit<Values<typeof table>, 'listen' | 'natsServer' | 'apiKey' | 'apiKeysFile'> &
  AccessConfig & {
    readonly listen: Address;
    /** The nats-server given by the operator; absent: find or fetch one. */
    readonly natsServer?: string;
    /** Shows every line of every process, not only changes of state, warnings and errors. */
    readonly verbose: boolean;
    /** The environment of the child processes. */
    readonly environment: Readonly<Record<string, string | undefined>>;
  };

export function parseLauncherConfig(source: ConfigSource): Parsed<LauncherConfig> {
  const args = source.args.filter((argument) => argument !== verboseFlag);
  const read = readSettings('cluster', table, { ...source, args });
  if ('help' in read) return { help: `${read.help}\n${verboseFlag} shows every line of every process\n` };
  const { natsServer, apiKey, apiKeysFile, ...values } = read.values;
  if (Object.values(publicTlsSettings).some(({ env }) => (source.env[env] ?? '') !== '')) {
    throw new ConfigError(
      'cluster: TIDAL_PUBLIC_TLS_CERT_FILE and TIDAL_PUBLIC_TLS_KEY_FILE are of a router that runs alone: this command serves plain HTTP',
    );
  }
  const listen = parseAddress('cluster', 'listen', values.listen);
  const highest = 65_535 - natsPortDistance;
  if (listen.port < 1 || listen.port > highest) {
    throw new ConfigError(
      `cluster: --listen needs a port from 1 to ${highest}, not ${listen.port}: the other processes' ports are counted from it`,
    );
  }
  const config: LauncherConfig = {
    ...values,
    ...parseAccess('cluster', listen, { ...values, apiKey, apiKeysFile }),
    listen: Object.freeze(listen),
    schemaFile: resolvePath(values.schemaFile, schemaDefault),
    topologyFile: resolvePath(values.topologyFile, topologyDefault),
    dataDir: resolvePath(values.dataDir, ''),
    ...(natsServer === '' ? {} : { natsServer }),
    verbose: source.args.includes(verboseFlag),
    environment: source.env,
  };
  return { config: Object.freeze(config) };
}

export function loadLauncherConfig(): LauncherConfig {
  return configOrHelp(parseLauncherConfig);
}
