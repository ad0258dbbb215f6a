/**
 * A whole cluster of real processes on loopback: nats-server, one region process each, router. Every port is free, every
 * directory temporary; `stop` leaves nothing behind.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Dispatcher } from 'undici';
import type { NatsUser } from '../../../deploy/local/nats-users.ts';
import type { AbsentDisk } from '../../../services/router/cluster/cluster.ts';
import { internalHeaders } from '../clients/internal.ts';
import { type Answer, requestJson } from '../clients/request-json.ts';
import { eventually } from '../kernel/eventually.ts';
import { seededRandom } from '../kernel/seeded-random.ts';
import { NATS, Network } from '../network/network.ts';
import { freePort, NatsServer } from './nats-server.ts';
import { NodeProcess } from './node-process.ts';
import { SmallDisk } from './small-disk.ts';

export type { Answer };

export const defaultRegions = ['us-east', 'eu-west', 'ap-south'] as const;

export interface ClusterOptions {
  /** The first is the first leader. */
  readonly regions?: readonly string[];
  /** A schema file instead of the default one. */
  readonly schemaFile?: string;
  readonly routers?: number;
  /** More lines of the topology file: `failover: automatic`. */
  readonly topology?: readonly string[];
  /** Another program for some regions or routers, relative to the root of the build, with more environment. */
  readonly mains?: Readonly<Record<string, { readonly main: string; readonly env: Readonly<Record<string, string>> }>>;
  /** More environment of every process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Every process reaches nats-server and the regions through a wire of its own that can fail: see `network`. */
  readonly wires?: { readonly seed: number };
  /** More environment of each process. */
  readonly environmentOf?: (name: string) => Readonly<Record<string, string>>;
  /** Between router and regions: the environment of each process, and how the test itself reaches regions. */
  readonly tls?: ClusterTls;
  /** nats-server knows these users only; the processes of their names use them. */
  readonly natsUsers?: ReadonlyMap<string, NatsUser>;
  /** The broker's addresses for this process, of servers that the test starts itself; `nats` is idle then. */
  readonly natsUrl?: (name: string) => string;
  /** More lines of the configuration of nats-server. */
  readonly natsSettings?: readonly string[];
  /** nats-server acknowledges what is on its disk: see `NatsServer.start`. */
  readonly syncAlways?: boolean;
  /** Regions whose data directory lies on a disk of its own that can be full: see `disk`. */
  readonly smallDisks?: readonly string[];
  /** Fills each region's data directory before its first start. */
  readonly fill?: (dataDir: string, region: string) => Promise<void>;
  /** How long regions and routers may take to start, where there is much to fill them with, ms. */
  readonly startLimitMs?: number;
}

export interface ClusterTls {
  environmentOf(name: string): Readonly<Record<string, string>>;
  /** The router's public surface has TLS too. */
  readonly public?: boolean;
  readonly dispatcher: Dispatcher;
}

export interface StatusRegion {
  readonly name: string;
  readonly applied_events: number;
  readonly lag_events: number;
  readonly partitioned: boolean;
  readonly heal_at?: string;
  readonly ahead_events: number;
  readonly reachable: boolean;
  readonly role: string;
  readonly position: string;
  readonly offset: number;
  readonly disk: string | null;
}

export interface ClusterStatus {
  readonly leader: string;
  readonly epoch: number;
  readonly relay_log_len: number;
  readonly regions: readonly StatusRegion[];
  readonly absent_disks: readonly AbsentDisk[];
}

/** What the processes of a cluster are started with. */
interface SetUp {
  readonly directory: string;
  readonly topology: readonly string[];
  readonly leader: string;
  readonly schema: string;
  readonly natsPort: number;
  readonly natsUrl: ClusterOptions['natsUrl'];
  readonly regionUrls: Map<string, string>;
  readonly network: Network | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly natsUsers: ReadonlyMap<string, NatsUser>;
  readonly startLimitMs: number | undefined;
  readonly tls: ClusterTls | undefined;
  readonly environmentOf: ClusterOptions['environmentOf'];
}

/** Writes the process's files about the others and returns the flags for them; with wires, each one dials its own. */
async function surroundings(setUp: SetUp, from: string): Promise<string[]> {
  const { directory, topology, leader, natsPort, natsUrl, regionUrls, network } = setUp;
  const port = (to: string, target: number): Promise<number> | number => network?.lay(from, to, target) ?? target;
  const lines = [...topology, `leader: ${leader}`, 'regions:'];
  for (const [name, url] of regionUrls) {
    const dialled = name === from ? new URL(url).port : await port(name, Number(new URL(url).port));
    lines.push(`  - name: ${name}`, `    url: ${new URL(url).protocol}//127.0.0.1:${dialled}`);
  }
  const file = join(directory, network === undefined ? 'topology.yaml' : `topology-${from}.yaml`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  const url = natsUrl?.(from) ?? `nats://127.0.0.1:${await port(NATS, natsPort)}`;
  return ['--topology', file, '--nats', url];
}

function environmentOf(setUp: SetUp, name: string): Readonly<Record<string, string>> {
  const { environment, tls, natsUsers } = setUp;
  const found = natsUsers.get(name);
  const user =
    found === undefined || found.nkey !== undefined ? {} : { NATS_USER: found.user, NATS_PASSWORD: found.password };
  return { ...environment, ...tls?.environmentOf(name), ...user, ...setUp.environmentOf?.(name) };
}

async function regionProcess(
  setUp: SetUp,
  name: string,
  program?: NonNullable<ClusterOptions['mains']>[string],
): Promise<NodeProcess> {
  const { regionUrls, schema, directory } = setUp;
  const flags = ['--region', name, '--listen', new URL(regionUrls.get(name)!).host, '--schema', schema];
  return new NodeProcess({
    name,
    main: program?.main ?? 'services/region/main.js',
    env: { ...environmentOf(setUp, name), ...program?.env },
    flags: [...flags, ...(await surroundings(setUp, name)), '--data-dir', join(directory, name)],
    startLimitMs: setUp.startLimitMs,
  });
}

export class Cluster {
  readonly nats: NatsServer;
  readonly directory: string;
  readonly processes = new Map<string, NodeProcess>();
  /** Public base URL, of the first router. */
  readonly url: string;
  readonly routerUrls: readonly string[];
  readonly regionUrls: ReadonlyMap<string, string>;
  private readonly setUp: SetUp;
  private readonly disks = new Map<string, SmallDisk>();

  private constructor(nats: NatsServer, setUp: SetUp, routerUrls: readonly string[]) {
    this.nats = nats;
    this.setUp = setUp;
    this.directory = setUp.directory;
    this.routerUrls = routerUrls;
    this.url = routerUrls[0]!;
    this.regionUrls = setUp.regionUrls;
  }

  get regionNames(): readonly string[] {
    return [...this.regionUrls.keys()];
  }

  /** Starts everything; resolves when every region is ready and the leader accepts. */
  static async start({
    regions = defaultRegions,
    schemaFile,
    routers = 1,
    topology = [],
    mains = {},
    wires,
    syncAlways = false,
    natsUsers = new Map(),
    natsUrl,
    natsSettings = [],
    smallDisks = [],
    fill,
    startLimitMs,
    environment = {},
    tls,
    environmentOf: environmentOfEach,
  }: ClusterOptions = {}): Promise<Cluster> {
    const nats = await NatsServer.start({ syncAlways, users: [...natsUsers.values()], settings: natsSettings });
    const directory = mkdtempSync(join(tmpdir(), 'tidal-cluster-'));
    const regionUrls = new Map<string, string>();
    const routerUrls: string[] = [];
    for (const name of regions)
      regionUrls.set(name, `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${await freePort()}`);
    for (let index = 0; index < routers; index++)
      routerUrls.push(`${tls?.public === true ? 'https' : 'http'}://127.0.0.1:${await freePort()}`);
    const schema =
      schemaFile ?? fileURLToPath(new URL('../../../../deploy/config/default-schema.yaml', import.meta.url));
    const promised = [...regionUrls.values(), ...routerUrls].map((url) => Number(new URL(url).port));
    const network = wires === undefined ? undefined : new Network(seededRandom(wires.seed), promised);
    const leader = regions[0]!;
    const setUp: SetUp = {
      ...{ directory, topology, leader, schema, natsPort: nats.port, natsUrl },
      ...{ regionUrls, network, environment, natsUsers, startLimitMs, tls, environmentOf: environmentOfEach },
    };
    const cluster = new Cluster(nats, setUp, routerUrls);
    for (const name of regionUrls.keys()) cluster.processes.set(name, await regionProcess(setUp, name, mains[name]));
    for (const [index, url] of routerUrls.entries()) {
      const name = index === 0 ? 'router' : `router-${index + 1}`;
      const flags = ['--listen', new URL(url).host, ...(await surroundings(setUp, name))];
      const { main = 'services/router/main.js', env = {} } = mains[name] ?? {};
      cluster.processes.set(
        name,
        new NodeProcess({ name, main, flags, startLimitMs, env: { ...environmentOf(setUp, name), ...env } }),
      );
    }
    try {
      for (const name of smallDisks) cluster.disks.set(name, SmallDisk.mount(join(directory, name)));
      for (const name of regionUrls.keys()) await fill?.(join(directory, name), name);
      await Promise.all([...cluster.processes.values()].map((service) => service.start()));
      await cluster.settled(startLimitMs);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The wires; only with the option `wires`. */
  get network(): Network {
    const { network } = this.setUp;
    if (network === undefined) throw new Error('this cluster was started without wires');
    return network;
  }

  /** The region's disk; only of those in the option `smallDisks`. */
  disk(region: string): SmallDisk {
    const disk = this.disks.get(region);
    if (disk === undefined) throw new Error(`${region} was started without a small disk`);
    return disk;
  }

  /** In the order of `routerUrls`. */
  get routerNames(): readonly string[] {
    return [...this.processes.keys()].filter((name) => !this.regionNames.includes(name));
  }

  /**
   * Writes one more region into the topology file and starts it; the others know of it once they are restarted. Answers
   * when it listens. Not with wires.
   */
  async addRegion(name: string): Promise<{ readonly dataDir: string }> {
    if (this.setUp.network !== undefined) throw new Error('a region is added to a cluster without wires');
    this.setUp.regionUrls.set(name, `http://127.0.0.1:${await freePort()}`);
    const added = await regionProcess(this.setUp, name);
    this.processes.set(name, added);
    await added.start();
    return { dataDir: join(this.directory, name) };
  }

  process(name: string): NodeProcess {
    const found = this.processes.get(name);
    if (found === undefined) throw new Error(`no process ${name}`);
    return found;
  }

  /** Every region reachable and ready, and the leader known to all. */
  settled(limitMs = 30_000): Promise<void> {
    return eventually(
      'the cluster is healthy',
      async () => {
        const { body } = await this.get('/health');
        return body.status === 'ok';
      },
      limitMs,
    );
  }

  get<T = Record<string, unknown>>(path: string): Promise<Answer<T>> {
    return requestJson<T>(this.url + path, {}, this.publicly);
  }

  post<T = Record<string, unknown>>(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> {
    return requestJson<T>(
      this.url + path,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      },
      this.publicly,
    );
  }

  private get publicly(): Dispatcher | undefined {
    const { tls } = this.setUp;
    return tls?.public === true ? tls.dispatcher : undefined;
  }

  /** A region's own internal API; a body is posted. */
  region<T = Record<string, unknown>>(name: string, path: string, body?: string): Promise<Answer<T>> {
    return requestJson<T>(
      this.regionUrls.get(name)! + path,
      {
        ...(body === undefined ? {} : { method: 'POST', body }),
        headers: { ...internalHeaders, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      },
      this.setUp.tls?.dispatcher,
    );
  }

  async status(): Promise<ClusterStatus> {
    const { status, body } = await this.get<ClusterStatus>('/cluster/status');
    if (status !== 200) throw new Error(`/cluster/status answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** All regions reachable at one position, bit-identical. Answers the digest. */
  async converged(limitMs = 30_000): Promise<string> {
    let digest = '';
    await eventually(
      'all regions converge to one position and one digest',
      async () => {
        const answers = await Promise.all(
          this.regionNames.map((name) => this.region<{ position: string; digest: string }>(name, '/internal/digest')),
        );
        const first = answers[0]!.body;
        digest = first.digest;
        if (!answers.every(({ body }) => body.position === first.position)) return false;
        if (!answers.every(({ body }) => body.digest === first.digest)) {
          throw new Error(`one position, different digests: ${JSON.stringify(answers.map(({ body }) => body))}`);
        }
        return true;
      },
      limitMs,
    );
    return digest;
  }

  async kill(name: string): Promise<void> {
    await this.process(name).end('SIGKILL');
  }

  restart(name: string): Promise<void> {
    return this.process(name).start();
  }

  /** Ends what is left and removes every directory. */
  async stop(): Promise<void> {
    await Promise.all([...this.processes.values()].map((service) => service.end('SIGKILL')));
    await this.setUp.network?.close();
    await this.nats.stop();
    for (const disk of this.disks.values()) disk.unmount();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
