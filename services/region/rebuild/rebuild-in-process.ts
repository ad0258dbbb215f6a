/** The builder in this thread: the same code, and what travels is copied as it is between threads. For tests. */
import { Builder, type BuilderOptions } from './builder.ts';
import { createRebuild } from './chunked-rebuild.ts';
import { buffersOf } from './moved-buffers.ts';
import type { OpenBuilder, Rebuild, ToBuilder } from './rebuild.ts';

/** `bytes`: of a chunk, and so from how much metadata on there is a builder at all. */
export function inProcessRebuild({ create, bytes }: Pick<BuilderOptions, 'create'> & { bytes: number }): Rebuild {
  const open: OpenBuilder = ({ onMessage, onGone }) => {
    const waiting: ToBuilder[] = [];
    let over = false;
    const builder = new Builder({
      create,
      reply: (message) => {
        if (!over) onMessage(structuredClone(message, { transfer: buffersOf(message) }));
      },
    });
    const run = (): void => {
      const message = waiting.shift();
      if (message === undefined || over) return;
      try {
        builder.take(message);
      } catch (error) {
        over = true;
        onGone(error);
      }
    };
    return {
      post(message) {
        waiting.push(structuredClone(message));
        queueMicrotask(run);
      },
      async end() {
        over = true;
      },
    };
  };
  return createRebuild({ open, bytes });
}
