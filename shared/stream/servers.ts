/** The addresses of the broker: one server, or several of one cluster, of which any will do. */
import type { Setting } from '../config/settings-table.ts';
import { ConfigError } from '../errors/config-error.ts';

/** Beyond it, servers that a server names are not noted. */
const LEARNT_LIMIT = 16;

/** How many servers keep a copy of the stream and of the control bucket: an odd number, because a majority must agree. */
export const replicaCounts = ['1', '3', '5'] as const;

export const serverSettings = {
  natsUrl: {
    env: 'NATS_URL',
    flag: 'nats',
    kind: 'text',
    fallback: 'nats://127.0.0.1:4222',
    why: 'the NATS server, or several of one cluster: nats://a:4222,nats://b:4222',
  },
  streamReplicas: {
    env: 'TIDAL_STREAM_REPLICAS',
    flag: 'stream-replicas',
    kind: 'choice',
    choices: replicaCounts,
    fallback: '1',
    why: 'servers that keep a copy of the stream and of the control bucket; the same in every process, at most as many as there are',
  },
} as const satisfies Record<string, Setting>;

/** The servers that a text such as `nats://a:4222,tls://b` names. Throws `ConfigError`. */
export function serversOf(program: string, text: string): readonly string[] {
  const servers = text.split(',').map((server) => server.trim());
  for (const server of servers) {
    const url = URL.canParse(server) ? new URL(server) : undefined;
    const isServer = url?.protocol === 'nats:' || url?.protocol === 'tls:';
    if (isServer && url.hostname !== '' && url.username === '' && /^\/?$/.test(url.pathname)) continue;
    throw new ConfigError(
      `${program}: --nats takes addresses such as nats://nats:4222, with commas between several, not "${hidden(server)}"`,
    );
  }
  return servers;
}

/** The servers to try, the one to try next first. */
export class Servers {
  private readonly given: readonly string[];
  private learnt: readonly string[] = [];
  private next = 0;

  constructor(given: readonly string[]) {
    this.given = given;
  }

  get inOrder(): readonly string[] {
    const all = [...new Set([...this.given, ...this.learnt])];
    const first = this.next % all.length;
    return [...all.slice(first), ...all.slice(0, first)];
  }

  /** The connection to this one was lost: the others are tried first. `host:port` of others of its cluster, as it named them. */
  lost(server: string, named: readonly string[] = []): void {
    this.learnt = named.slice(0, LEARNT_LIMIT).map((address) => `nats://${address}`);
    const all = [...new Set([...this.given, ...this.learnt])];
    this.next = all.indexOf(server) + 1;
  }
}

/** A password that was put into the address must not be in a message. */
function hidden(server: string): string {
  return server.replace(/\/\/[^@/]*@/, '//…@');
}
