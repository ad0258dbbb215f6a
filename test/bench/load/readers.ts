/**
 * A thread with clients that ask reads one after another, so that neither asking nor taking answers holds up the clients that
 * write. It is sent a {@link ReadLoad} and asks until it is sent `stop`; then it posts {@link ReadsDone}.
 */
import { once } from 'node:events';
import { parentPort, Worker } from 'node:worker_threads';
import { Pool } from 'undici';
import type { ReadRequest } from './reads.ts';
import { statusOf } from './status-of.ts';

/** What a client waits after a refusal or a failure before it asks again. */
export const REFUSED_PAUSE_MS = 100;

export interface ReadLoad {
  readonly url: string;
  readonly requests: readonly ReadRequest[];
  /** Each with one connection and one request at a time. */
  readonly clients: number;
}

export interface ReadsDone {
  /** ms of each request that was answered with 200. */
  readonly latencies: readonly number[];
  /** Answered with 503. */
  readonly refused: number;
  /** Answered with another error, or not at all. */
  readonly failed: number;
  readonly tookMs: number;
}

export class Readers {
  private readonly worker = new Worker(new URL(import.meta.url));

  /** Asks while `work` continues. */
  async during(load: ReadLoad, work: () => Promise<unknown>): Promise<ReadsDone> {
    const done = once(this.worker, 'message') as Promise<[ReadsDone]>;
    this.worker.postMessage(load);
    await Promise.race([work(), done.then(() => Promise.reject(new Error('the readers stopped by themselves')))]);
    this.worker.postMessage('stop');
    const [result] = await done;
    return result;
  }

  async stop(): Promise<void> {
    await this.worker.terminate();
  }
}

class Asking {
  private readonly latencies: number[] = [];
  private refused = 0;
  private failed = 0;
  private stopping = false;

  async run({ url, requests, clients }: ReadLoad): Promise<ReadsDone> {
    const pool = new Pool(url, { connections: clients, pipelining: 1 });
    const startMs = performance.now();
    let next = 0;
    const client = async (): Promise<void> => {
      while (!this.stopping) await this.ask(pool, requests[next++ % requests.length]!);
    };
    await Promise.all(Array.from({ length: clients }, client));
    const tookMs = performance.now() - startMs;
    await pool.close();
    return { latencies: this.latencies, refused: this.refused, failed: this.failed, tookMs };
  }

  stop(): void {
    this.stopping = true;
  }

  private async ask(pool: Pool, { path, body }: ReadRequest): Promise<void> {
    const startMs = performance.now();
    const status = await statusOf(pool, {
      path,
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
    });
    if (status === 200) {
      this.latencies.push(performance.now() - startMs);
      return;
    }
    if (status === 503) this.refused++;
    else this.failed++;
    await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
  }
}

const port = parentPort;
if (port !== null) {
  let asking: Asking | undefined;
  port.on('message', async (message: ReadLoad | 'stop') => {
    if (message === 'stop') {
      asking?.stop();
    } else {
      asking = new Asking();
      port.postMessage(await asking.run(message));
    }
  });
}
