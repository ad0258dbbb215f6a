/** Each builder in a thread of its own (`main.ts`). */
import type { FieldAnalysis } from '../state/text/analysis/analysis.ts';
import { openThread } from '../thread/thread.ts';
import { createRebuild } from './paged-rebuild.ts';
import type { Built, FromBuilder, OpenBuilder, Rebuild, ToBuilder } from './rebuild.ts';

/** What a thread is started with. */
export interface BuilderThreadData {
  readonly build: Built;
  /** The schema's text fields, in its order. */
  readonly fieldNames: readonly string[];
  readonly analyses?: readonly FieldAnalysis[] | undefined;
}

export interface ThreadRebuildOptions {
  readonly fieldNames: readonly string[];
  /** Of each of them; absent: the default. */
  readonly analyses?: readonly FieldAnalysis[] | undefined;
  /** Minimum number of metadata pages for which threads are started. */
  readonly leastPages?: number;
}

export function threadRebuild({ fieldNames, analyses, leastPages }: ThreadRebuildOptions): Rebuild {
  const open: OpenBuilder = ({ build, onMessage, onExit }) => {
    const workerData: BuilderThreadData = { build, fieldNames, analyses };
    return openThread<FromBuilder, ToBuilder>({
      ...{ main: new URL('./main.js', import.meta.url), name: `rebuild-${build}`, workerData, onMessage, onExit },
      // A start that fails is not kept alive by it.
      unref: true,
    });
  };
  return createRebuild({ open, leastPages });
}
