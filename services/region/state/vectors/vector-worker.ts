/**
 * Between the region's thread and the one the index lives in: an ordered pipe either way. The same code answers on the far
 * side (`vector-server.ts`) whether that is a thread (`vector-thread.ts`) or not (`vector-in-process.ts`).
 */

/** To the index. Everything is taken in the order it was sent. */
export type ToVectors =
  | {
      readonly kind: 'changes';
      readonly ordinals: Uint32Array;
      readonly entities: Float64Array;
      /** 1: has the next of `values` now; 0: has none any more. */
      readonly present: Uint8Array;
      /** One after another, of those that are present. */
      readonly values: Float32Array;
    }
  /** Everything that was live at the start has been sent. */
  | { readonly kind: 'filled' }
  | {
      readonly kind: 'nearest';
      readonly id: number;
      readonly values: Float32Array;
      readonly limit: number;
      readonly among?: Among;
    }
  /** Write the graph to its file, as of `atMs`. Answered by `saved` in any case. */
  | { readonly kind: 'save'; readonly atMs: number };

/** The selected: a list of ordinals, or a bitmap over them, 32 a word. */
export type Among =
  | { readonly ordinals: Uint32Array }
  /** `count`: how many bits are set. */
  | { readonly words: Int32Array; readonly count: number };

export interface VectorCounts {
  readonly live: number;
  readonly graphed: number;
  readonly deleted: number;
  /** Changes that the file does not have. */
  readonly unsaved: number;
}

export type FromVectors =
  /** One `changes` has been taken. */
  | { readonly kind: 'taken' }
  | {
      readonly kind: 'hits';
      readonly id: number;
      readonly entities: Float64Array;
      readonly similarities: Float64Array;
      /** These are all there are: nothing further away was left out. */
      readonly whole: boolean;
    }
  | { readonly kind: 'counts'; readonly counts: VectorCounts }
  /** There are no graphs on this machine, and why: every search is a scan. Once, at first. */
  | { readonly kind: 'scan_only'; readonly why: string }
  /** `atMs` of what the file has now; 0: there is none. */
  | { readonly kind: 'saved'; readonly atMs: number }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly message: string; readonly fields: LogFields };

export type LogFields = Readonly<Record<string, string | number>>;

export interface VectorWorker {
  post(message: ToVectors): void;
  /** Ends it, whatever it does. Idempotent. */
  end(): Promise<void>;
}

export interface VectorWorkerOptions {
  readonly dimensions: number;
  readonly onMessage: (message: FromVectors) => void;
  /** It is gone, and nobody has ended it. Once. */
  readonly onExit: (error: unknown) => void;
}

export type OpenVectorWorker = (options: VectorWorkerOptions) => VectorWorker;
