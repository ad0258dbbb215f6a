/** Clients that write single signals, each the next one when the one before is acknowledged. */
import { Pool } from 'undici';
import { Traffic } from '../world/traffic.ts';
import { EXPONENT, SEED, type WorldSize } from '../world/world.ts';
import { statusOf } from './status-of.ts';

export interface WritesDone {
  /** ms of each write that was acknowledged. */
  readonly latencies: readonly number[];
  /** Not acknowledged: refused with 503, another error, or no answer. */
  readonly unacknowledged: number;
  readonly tookMs: number;
}

export class Writers {
  private readonly pool: Pool;
  private readonly clients: number;
  private readonly traffic: Traffic;
  /** Of all runs. */
  acknowledged = 0;
  /** Of all runs: each may still have been accepted. */
  unacknowledged = 0;

  constructor({ url, clients, size }: { url: string; clients: number; size: WorldSize }) {
    this.clients = clients;
    this.pool = new Pool(url, { connections: clients, pipelining: 1 });
    this.traffic = new Traffic({ seed: SEED + 1, items: size.items, exponent: EXPONENT });
  }

  /** For so long, or until `stop` is aborted. */
  async write(forMs: number, stop?: AbortSignal): Promise<WritesDone> {
    const latencies: number[] = [];
    let unacknowledged = 0;
    const startMs = performance.now();
    const client = async (): Promise<void> => {
      while (performance.now() < startMs + forMs && stop?.aborted !== true) {
        const body = this.body();
        const sentMs = performance.now();
        const headers = { 'content-type': 'application/json' };
        const status = await statusOf(this.pool, { method: 'POST', path: '/signals', headers, body });
        if (status === 200) latencies.push(performance.now() - sentMs);
        else unacknowledged++;
      }
    };
    await Promise.all(Array.from({ length: this.clients }, client));
    this.acknowledged += latencies.length;
    this.unacknowledged += unacknowledged;
    return { latencies, unacknowledged, tookMs: performance.now() - startMs };
  }

  private body(): string {
    const event = this.traffic.signal(0, 0);
    if (event.kind !== 'signal') throw new Error('traffic draws signals');
    return `{"entity_id":${event.entity},"signal":"${event.signal}","weight":1}`;
  }

  async stop(): Promise<void> {
    await this.pool.destroy();
  }
}
