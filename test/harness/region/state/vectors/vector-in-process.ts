/**
 * The index without a thread: the same code, in turns of the caller's event loop, in a deterministic order. For the simulation,
 * and for tests.
 */
import { VectorServer } from '../../../../../services/region/state/vectors/vector-server.ts';
import type { OpenVectorWorker, ToVectors } from '../../../../../services/region/state/vectors/vector-worker.ts';

/** Steps of work after each message, so that a graph grows faster than vectors are put. */
const STEPS = 2;

export interface InProcessVectors {
  readonly exactLimit?: number;
  /** See `VectorServerOptions`. */
  readonly missing?: string;
}

export function inProcessVectors({ exactLimit, missing }: InProcessVectors = {}): OpenVectorWorker {
  return ({ dimensions, onMessage }) => {
    const waiting: ToVectors[] = [];
    let running = false;
    let ended = false;
    const server = new VectorServer({
      dimensions,
      exactLimit,
      missing,
      reply: (message) => {
        if (!ended) onMessage(message);
      },
    });
    const run = (): void => {
      for (let message = waiting.shift(); message !== undefined && !ended; message = waiting.shift()) {
        server.take(message);
        for (let step = 0; step < STEPS && server.work(); step++);
      }
      running = false;
    };
    return {
      post(message) {
        waiting.push(message);
        if (running) return;
        running = true;
        queueMicrotask(run);
      },
      async end() {
        ended = true;
      },
    };
  };
}
