/** The index in a thread of its own (`main.ts`). */
import { openThread } from '../../thread/thread.ts';
import type { FromVectors, OpenVectorWorker, ToVectors } from './vector-worker.ts';

/** What the thread is started with. */
export interface VectorThreadData {
  readonly dimensions: number;
  /** Directory of the graph's file. */
  readonly path: string;
}

/** The last message: the thread ends itself between two steps, because most of its time it is in native code. */
export interface EndOfThread {
  readonly kind: 'end';
}

/** `path`: the directory for the graph's file, for exclusive use. */
export function threadVectors({ path }: { path: string }): OpenVectorWorker {
  return ({ dimensions, onMessage, onExit }) => {
    const workerData: VectorThreadData = { dimensions, path };
    const main = new URL('./main.js', import.meta.url);
    const options = { main, name: 'vectors', workerData, onMessage, onExit };
    const thread = openThread<FromVectors, ToVectors | EndOfThread>(options);
    return {
      post: (message) => thread.post(message, buffersOf(message)),
      end: () => thread.end({ kind: 'end' }),
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
