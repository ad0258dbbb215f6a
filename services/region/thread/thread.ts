/** A worker thread with messages in both directions, that is over once it has failed, exited or been ended. */
import { Worker } from 'node:worker_threads';

export interface ThreadOptions<From> {
  readonly main: URL;
  readonly name: string;
  /** What the thread is started with. */
  readonly workerData: unknown;
  /** The process does not wait for the thread. */
  readonly unref?: boolean;
  readonly onMessage: (message: From) => void;
  /** It is over, unless `end` was called before. */
  readonly onExit: (error: unknown) => void;
}

export interface Thread<To> {
  /** `moved`: the buffers that are transferred instead of copied. */
  post(message: To, moved?: ArrayBuffer[]): void;
  /**
   * Resolves when it has ended. With `last` the thread gets this message and ends itself. Without, it is ended wherever it is; in the
   * middle of native code that would abort the whole process.
   */
  end(last?: To): Promise<void>;
}

export function openThread<From, To>(options: ThreadOptions<From>): Thread<To> {
  const { main, name, workerData, unref = false, onMessage, onExit } = options;
  const worker = new Worker(main, { workerData, name });
  if (unref) worker.unref();
  let over = false;
  const gone = (error: unknown): void => {
    if (over) return;
    over = true;
    onExit(error);
  };
  worker.on('message', (message: From) => {
    if (!over) onMessage(message);
  });
  worker.on('error', gone);
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      gone(new Error(`the thread ended with code ${code}`));
      resolve();
    });
  });
  return {
    post: (message, moved = []) => worker.postMessage(message, moved),
    async end(last) {
      over = true;
      if (last === undefined) await worker.terminate();
      else worker.postMessage(last);
      await exited;
    },
  };
}
