/** The processes and their addresses: the topology's regions on this machine, with ports relative to the router's. */
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Address } from '../../shared/config/settings-table.ts';
import type { Topology } from '../../shared/topology/topology.ts';
import { type LauncherConfig, natsPortDistance } from './launcher-config.ts';

export interface PlannedRegion {
  readonly name: string;
  readonly listen: Address;
  readonly dataDir: string;
}

export interface Plan {
  readonly router: Address;
  readonly regions: readonly PlannedRegion[];
  readonly nats: {
    readonly port: number;
    readonly url: string;
    readonly configFile: string;
    readonly pidFile: string;
    readonly storeDir: string;
    readonly cacheDir: string;
  };
  /** The topology with the urls of this machine, for the processes. */
  readonly topologyFile: string;
  readonly topologyText: string;
}

const loopback = '127.0.0.1';

/** `topology` has at most 16 regions, so that the regions' ports stay below the server's. */
export function planCluster(config: Pick<LauncherConfig, 'listen' | 'dataDir'>, topology: Topology): Plan {
  const { listen, dataDir } = config;
  const regions = topology.regions.map(({ name }, index) => ({
    name,
    listen: { host: loopback, port: listen.port + 1 + index },
    dataDir: join(dataDir, name),
  }));
  const natsPort = listen.port + natsPortDistance;
  // A region may be called `nats`; its folder must differ from the server's.
  const natsDir = join(dataDir, '_nats');
  return {
    router: listen,
    regions,
    nats: {
      port: natsPort,
      url: `nats://${loopback}:${natsPort}`,
      configFile: join(natsDir, 'nats.conf'),
      pidFile: join(natsDir, 'nats.pid'),
      storeDir: join(natsDir, 'store'),
      cacheDir: join(dataDir, '_bin'),
    },
    topologyFile: join(dataDir, 'topology.yaml'),
    topologyText: stringify({
      leader: topology.firstLeader,
      ...(topology.failover === undefined
        ? {}
        : { failover: 'automatic', failover_after: `${topology.failover.afterMs / 1_000}s` }),
      regions: regions.map(({ name, listen: { host, port } }) => ({ name, url: `http://${host}:${port}` })),
    }),
  };
}

/** `host:port`, as flags take it. */
export function addressText({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The URL of an address for clients on this machine. */
export function urlOf({ host, port }: Address): string {
  const reachable = host === '0.0.0.0' || host === '::' ? loopback : host;
  return `http://${addressText({ host: reachable, port })}`;
}
