/** The whole cluster as `npm start` makes it - router, three regions, nats-server that syncs - and a client of its router. */
import { Pool } from 'undici';
import { Cluster } from '../../harness/processes/cluster.ts';
import type { Processes } from './processor-time.ts';

const LIMIT_MS = 30_000;
const ITEM_BULK = 10_000;

interface Accepted {
  readonly accepted: number;
  readonly position: string;
}

export class Tidal {
  private readonly cluster: Cluster;
  private readonly pool: Pool;
  private accepted = 0;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.pool = new Pool(cluster.url, { connections: 16, pipelining: 1 });
  }

  static async start(): Promise<Tidal> {
    return new Tidal(await Cluster.start({ syncAlways: true }));
  }

  /** The leader is the first region. */
  get processes(): Processes {
    const [leader, ...followers] = this.cluster.regionNames;
    const pid = (name: string): number => this.cluster.process(name).pid!;
    return [
      ['router', pid('router')],
      ['leader', pid(leader!)],
      ...followers.map((name) => ['followers', pid(name)] as const),
      ['nats-server', this.cluster.nats.pid!],
    ];
  }

  /** Items 1 … `count`, of a category each. */
  async putItems(count: number): Promise<void> {
    for (let first = 1; first <= count; first += ITEM_BULK) {
      const ids = Array.from({ length: Math.min(ITEM_BULK, count - first + 1) }, (_, index) => first + index);
      const lines = ids.map((id) => `{"entity_id":${id},"metadata":{"category":"c${id % 7}"}}\n`);
      await this.everywhere([await this.post('/items', Buffer.from(lines.join('')))]);
    }
  }

  /** Sends the bodies over `connections`; resolves when all three regions have applied all of it. */
  async send(bodies: readonly Buffer[], connections: number): Promise<void> {
    let next = 0;
    const answers: Accepted[] = [];
    const run = async (): Promise<void> => {
      while (next < bodies.length) answers.push(await this.post('/signals', bodies[next++]!));
    };
    await Promise.all(Array.from({ length: connections }, run));
    await this.everywhere(answers);
  }

  /** Events each region has applied. */
  async applied(): Promise<readonly number[]> {
    const { regions } = await this.cluster.status();
    return regions.map(({ applied_events }) => applied_events);
  }

  /** Events accepted so far, items included. */
  get taken(): number {
    return this.accepted;
  }

  private async post(path: string, body: Buffer): Promise<Accepted> {
    const headers = { 'content-type': 'application/x-ndjson' };
    const answer = await this.pool.request({ method: 'POST', path, headers, body });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`${path} answered ${answer.statusCode}: ${text}`);
    const accepted = JSON.parse(text) as Accepted;
    this.accepted += accepted.accepted;
    return accepted;
  }

  /** One origin: no other region is ever promoted here. */
  private async everywhere(answers: readonly Accepted[]): Promise<void> {
    const sequence = (position: string): number => Number(position.slice(position.lastIndexOf(':') + 1));
    const furthest = answers.reduce((a, b) => (sequence(b.position) > sequence(a.position) ? b : a)).position;
    await Promise.all(
      this.cluster.regionNames.map(async (name) => {
        const request = JSON.stringify({ position: furthest, limitMs: LIMIT_MS });
        const { body } = await this.cluster.region<{ reached: boolean }>(name, '/internal/await', request);
        if (!body.reached) throw new Error(`${name} has not reached ${furthest}`);
      }),
    );
  }

  async stop(): Promise<void> {
    await this.pool.destroy();
    await this.cluster.stop();
  }
}
