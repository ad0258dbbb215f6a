/** The builders in this thread: the same code, with messages copied as between threads. For tests and the simulation. */
import { Builder } from '../../../services/region/rebuild/builder.ts';
import { gathererOf } from '../../../services/region/rebuild/gatherers.ts';
import { buffersOf } from '../../../services/region/rebuild/moved-buffers.ts';
import { createRebuild } from '../../../services/region/rebuild/paged-rebuild.ts';
import type { OpenBuilder, Rebuild, ToBuilder } from '../../../services/region/rebuild/rebuild.ts';
import type { ThreadRebuildOptions } from '../../../services/region/rebuild/rebuild-thread.ts';

export function inProcessRebuild({ fieldNames, analyses, leastPages }: ThreadRebuildOptions): Rebuild {
  const open: OpenBuilder = ({ build, onMessage, onExit }) => {
    const waiting: ToBuilder[] = [];
    let over = false;
    const builder = new Builder({
      create: (metadataOf) => gathererOf(build, { fieldNames, analyses, metadataOf }),
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
        onExit(error);
      }
    };
    return {
      post(message) {
        waiting.push(message);
        queueMicrotask(run);
      },
      async end() {
        over = true;
      },
    };
  };
  return createRebuild({ open, leastPages });
}
