/** Indexes for tests of what fills them. */
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';

export interface Told {
  put(entity: number, metadata: Metadata, former?: Metadata): void;
  remove(entity: number, former?: Metadata): void;
}

/** Filter index or text index that gets every change in one step. */
export function toldIndex({ put, remove }: Told) {
  return {
    *putting(entity: number, metadata: Metadata, former?: Metadata): Steps {
      put(entity, metadata, former);
      yield;
    },
    *removing(entity: number, former?: Metadata): Steps {
      remove(entity, former);
      yield;
    },
    adopt() {},
  };
}

/** An index that knows nothing. */
export const noIndex = toldIndex({ put() {}, remove() {} });
