/** Each builder in a thread of its own (`main.ts`). */
import { Worker } from 'node:worker_threads';
import { createRebuild } from './paged-rebuild.ts';
import type { Built, FromBuilder, OpenBuilder, Rebuild } from './rebuild.ts';

/** What a thread is started with. */
export interface BuilderThreadData {
  readonly build: Built;
  /** The schema's text fields, in its order. */
  readonly fieldNames: readonly string[];
}

export interface ThreadRebuildOptions {
  readonly fieldNames: readonly string[];
  /** Minimum number of metadata pages for which threads are started. */
  readonly leastPages?: number;
}

export function threadRebuild({ fieldNames, leastPages }: ThreadRebuildOptions): Rebuild {
  const open: OpenBuilder = ({ build, onMessage, onExit }) => {
    const workerData: BuilderThreadData = { build, fieldNames };
    const worker = new Worker(new URL('./main.js', import.meta.url), { workerData, name: `rebuild-${build}` });
    // A start that fails is not kept alive by it.
    worker.unref();
    let over = false;
    const gone = (error: unknown): void => {
      if (over) return;
      over = true;
      onExit(error);
    };
    worker.on('message', (message: FromBuilder) => {
      if (!over) onMessage(message);
    });
    worker.on('error', gone);
    worker.on('exit', (code) => gone(new Error(`the thread ended with code ${code}`)));
    return {
      post: (message) => worker.postMessage(message),
      async end() {
        over = true;
        await worker.terminate();
      },
    };
  };
  return createRebuild({ open, leastPages });
}
