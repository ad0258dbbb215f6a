/** The index in a thread of its own (`main.ts`). */
import { Worker } from 'node:worker_threads';
import type { FromVectors, OpenVectorWorker, ToVectors } from './vector-worker.ts';

/** What the thread is started with. */
export interface VectorThreadData {
  readonly dimensions: number;
  /** Directory of the graph's file. */
  readonly path: string;
}

/** `path`: the directory for the graph's file, for exclusive use. */
export function threadVectors({ path }: { path: string }): OpenVectorWorker {
  return ({ dimensions, onMessage, onExit }) => {
    const workerData: VectorThreadData = { dimensions, path };
    const worker = new Worker(new URL('./main.js', import.meta.url), { workerData, name: 'vectors' });
    let over = false;
    const gone = (error: unknown): void => {
      if (over) return;
      over = true;
      onExit(error);
    };
    worker.on('message', (message: FromVectors) => {
      if (!over) onMessage(message);
    });
    worker.on('error', gone);
    worker.on('exit', (code) => gone(new Error(`the thread ended with code ${code}`)));
    return {
      post: (message) => worker.postMessage(message, buffersOf(message)),
      async end() {
        over = true;
        await worker.terminate();
      },
    };
  };
}

/** The buffers that are transferred instead of copied. */
function buffersOf(message: ToVectors): ArrayBuffer[] {
  if (message.kind === 'changes') return [message.values.buffer as ArrayBuffer];
  if (message.kind !== 'nearest' || message.among === undefined) return [];
  const { among } = message;
  return [('words' in among ? among.words : among.ordinals).buffer as ArrayBuffer];
}
