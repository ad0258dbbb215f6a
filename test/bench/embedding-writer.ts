/**
 * A thread that writes embeddings, so that neither making nor sending them blocks the one that asks and takes the time.
 * It is sent a {@link Slice}, makes its bulks, says `ready`, is sent `go`, and says `sent` when all were taken.
 */
import { once } from 'node:events';
import { parentPort, Worker } from 'node:worker_threads';
import { Pool } from 'undici';
import { vectorsFrom } from '../harness/region/state/vectors/vectors.ts';

export interface Slice {
  readonly url: string;
  readonly seed: number;
  /** The first entity and how many. */
  readonly first: number;
  readonly count: number;
  readonly dimensions: number;
  /** Embeddings of one request. */
  readonly bulk: number;
  /** A bulk is sent so often; 0: as soon as the one before was taken. */
  readonly everyMs: number;
}

export class EmbeddingWriter {
  private readonly worker = new Worker(new URL(import.meta.url));

  /** Makes the bulks of a slice. */
  async prepare(slice: Slice): Promise<void> {
    this.worker.postMessage(slice);
    await this.said('ready');
  }

  /** Sends them; resolves when all were taken. */
  async send(): Promise<void> {
    this.worker.postMessage('go');
    await this.said('sent');
  }

  async stop(): Promise<void> {
    await this.worker.terminate();
  }

  private async said(word: string): Promise<void> {
    const [message] = await once(this.worker, 'message');
    if (message !== word) throw new Error(`the writer said ${String(message)} where it was to say ${word}`);
  }
}

function bodiesOf({ seed, first, count, dimensions, bulk }: Slice): string[] {
  const writes = vectorsFrom(seed, count, dimensions).map((values, index) => ({
    entity_id: first + index,
    values: Array.from(values, (value) => Number(value.toFixed(6))),
  }));
  return Array.from({ length: count / bulk }, (_, at) => JSON.stringify(writes.slice(at * bulk, (at + 1) * bulk)));
}

async function sendAll({ everyMs }: Slice, bodies: readonly string[], pool: Pool): Promise<void> {
  for (let at = 0, dueMs = performance.now(); at < bodies.length; at++, dueMs += everyMs) {
    if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: '/embeddings',
      headers: { 'content-type': 'application/json' },
      body: bodies[at]!,
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`embeddings were answered ${statusCode}: ${text}`);
  }
}

const port = parentPort;
if (port !== null) {
  let pool: Pool | undefined;
  let slice: Slice | undefined;
  let bodies: string[] = [];
  port.on('message', async (message: Slice | 'go') => {
    if (message !== 'go') {
      slice = message;
      pool ??= new Pool(slice.url, { connections: 1, pipelining: 1 });
      bodies = bodiesOf(slice);
      port.postMessage('ready');
    } else if (slice !== undefined && pool !== undefined) {
      await sendAll(slice, bodies, pool);
      port.postMessage('sent');
    }
  });
}
