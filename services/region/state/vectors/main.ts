/** The thread of the vector index: messages have priority over background work. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { VectorFile } from './vector-file.ts';
import { VectorServer } from './vector-server.ts';
import type { EndOfThread, VectorThreadData } from './vector-thread.ts';
import type { ToVectors } from './vector-worker.ts';

/** Building graphs has a lower priority than the threads that answer requests: on Linux each thread has its own. */
const NICE = 10;

const { dimensions, path } = workerData as VectorThreadData;
const port = parentPort!;
try {
  if (process.platform === 'linux') setPriority(NICE);
} catch {
  // Not required: the index works without it.
}

let working = false;
const work = (): void => {
  if (server.work()) setImmediate(work);
  else working = false;
};
const wake = (): void => {
  if (working) return;
  working = true;
  setImmediate(work);
};
const server = new VectorServer({
  dimensions,
  file: new VectorFile({ path, dimensions }),
  reply: (message) => port.postMessage(message),
  onWork: wake,
});
port.on('message', (message: ToVectors | EndOfThread) => {
  // Of a thread: ends this one.
  if (message.kind === 'end') process.exit();
  server.take(message);
  wake();
});
