/**
 * The messages between the region's thread and that of the index: an ordered pipe in both directions. The same code answers on
 * the index's side (`vector-server.ts`), in a thread (`vector-thread.ts`) or without one (`vector-in-process.ts`).
 */

/** Messages to the index, handled in the order they were sent. */
export type ToVectors =
  | {
      readonly kind: 'changes';
      readonly ordinals: Uint32Array;
      readonly entities: Float64Array;
      /** 1: has the next of `values` now; 0: no longer has one. */
      readonly present: Uint8Array;
      /** One after another, of those that have one. */
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
  /** Write the graph to its file, as of `atMs`. Always answered by `saved`. */
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
  /** Number of changes that the file does not have. */
  readonly unsaved: number;
}

export type FromVectors =
  /** One `changes` was handled. */
  | { readonly kind: 'taken' }
  | {
      readonly kind: 'hits';
      readonly id: number;
      readonly entities: Float64Array;
      readonly similarities: Float64Array;
      /** True if there are no further ones. */
      readonly whole: boolean;
    }
  | { readonly kind: 'counts'; readonly counts: VectorCounts }
  /** Why there are no graphs on this machine, so that every search is a scan. Sent once, at the start. */
  | { readonly kind: 'scan_only'; readonly why: string }
  /** `atMs` of the file's contents; 0: there is no file. */
  | { readonly kind: 'saved'; readonly atMs: number }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly message: string; readonly fields: LogFields };

export type LogFields = Readonly<Record<string, string | number>>;

export interface VectorWorker {
  post(message: ToVectors): void;
  /** Ends it after the messages before and the present step. Idempotent. */
  end(): Promise<void>;
}

export interface VectorWorkerOptions {
  readonly dimensions: number;
  readonly onMessage: (message: FromVectors) => void;
  /** Called once if it has died without being ended. */
  readonly onExit: (error: unknown) => void;
}

export type OpenVectorWorker = (options: VectorWorkerOptions) => VectorWorker;
