/** The builder in a thread of its own (`main.ts`). */
import { Worker } from 'node:worker_threads';
import { createRebuild } from './chunked-rebuild.ts';
import type { FromBuilder, OpenBuilder, Rebuild, ToBuilder } from './rebuild.ts';

/** What the thread is started with. */
export interface BuilderThreadData {
  /** The schema's text fields, in its order. */
  readonly fieldNames: readonly string[];
}

/** `bytes`: of a chunk, and so from how much metadata on there is a thread at all. */
export function threadRebuild({ fieldNames, bytes }: BuilderThreadData & { readonly bytes?: number }): Rebuild {
  const open: OpenBuilder = ({ onMessage, onGone }) => {
    const workerData: BuilderThreadData = { fieldNames };
    const worker = new Worker(new URL('./main.js', import.meta.url), { workerData, name: 'rebuild' });
    // A start that fails is not kept alive by it.
    worker.unref();
    let over = false;
    const gone = (error: unknown): void => {
      if (over) return;
      over = true;
      onGone(error);
    };
    worker.on('message', (message: FromBuilder) => {
      if (!over) onMessage(message);
    });
    worker.on('error', gone);
    worker.on('exit', (code) => gone(new Error(`the thread ended with code ${code}`)));
    return {
      post: (message) => worker.postMessage(message, buffersGiven(message)),
      async end() {
        over = true;
        await worker.terminate();
      },
    };
  };
  return createRebuild({ open, bytes });
}

/** What changes hands instead of being copied. */
function buffersGiven(message: ToBuilder): ArrayBuffer[] {
  return message.kind === 'items' ? [message.bytes.buffer as ArrayBuffer] : [];
}
