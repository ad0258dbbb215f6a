/** Three nats-servers of one cluster on loopback. */
import { connect } from 'nats';
import { eventually } from '../kernel/eventually.ts';
import { freePort, NatsServer } from './nats-server.ts';

const SIZE = 3;

export class NatsCluster {
  readonly servers: readonly NatsServer[];

  private constructor(servers: readonly NatsServer[]) {
    this.servers = servers;
  }

  /** Resolves when the servers have found each other, and one of them leads. */
  static async start(): Promise<NatsCluster> {
    const ports = await Promise.all(Array.from({ length: SIZE }, () => freePort()));
    const servers = await Promise.all(
      ports.map((port) => NatsServer.start({ cluster: [port, ...ports.filter((other) => other !== port)] })),
    );
    const cluster = new NatsCluster(servers);
    await eventually('the cluster of servers answers', () => cluster.streams().then(() => true), 30_000);
    return cluster;
  }

  /** As `NATS_URL` takes them, this server first. */
  urls(first: number): string {
    return [...this.servers.slice(first), ...this.servers.slice(0, first)].map(({ url }) => url).join(',');
  }

  /** By name of stream: which server leads it, and how many keep a copy. */
  async streams(
    through = 0,
  ): Promise<ReadonlyMap<string, { readonly leader: NatsServer | undefined; readonly replicas: number }>> {
    const connection = await connect({ servers: this.servers[through]!.url, timeout: 2_000 });
    try {
      const answer = (await connection.request('$JS.API.STREAM.LIST', '', { timeout: 2_000 })).json<{
        readonly error?: { readonly description: string };
        readonly streams?: readonly {
          readonly config: { readonly name: string; readonly num_replicas: number };
          readonly cluster?: { readonly leader?: string };
        }[];
      }>();
      if (answer.error !== undefined) throw new Error(answer.error.description);
      return new Map(
        (answer.streams ?? []).map(({ config: { name, num_replicas: replicas }, cluster }) => [
          name,
          { leader: this.servers.find((server) => server.name === cluster?.leader), replicas },
        ]),
      );
    } finally {
      await connection.close();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}
