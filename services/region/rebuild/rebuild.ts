/**
 * Builds filter index and text index of very many items in the background while a region starts. A thread for each index gathers
 * the values of the live items, in the catalog's own memory while it is being filled. When it receives their ordinals, it sorts
 * everything and transfers its index as plain data, which is moved, not copied.
 *
 * Promise: the result is the same as indexing each of these items. Nothing of it is stored: every start rebuilds it from the
 * registers.
 *
 * If a thread fails, `finish` rejects: the items are then indexed one by one.
 */
import type { MetadataPage } from '../state/catalog/catalog.ts';
import type { FilterIndexImage } from '../state/filter-index/filter-index.ts';
import type { TextImage } from '../state/text/text.ts';

export interface Rebuilt {
  readonly text: TextImage;
  readonly filterIndex: FilterIndexImage;
}

export interface Rebuild {
  /** The next live items, numbered 0, 1, 2 … over all pages. The page must not be written to before {@link end} has resolved. */
  add(page: MetadataPage): void;
  /** Whether there were enough items for threads, more than a page; otherwise there is nothing to finish. */
  readonly begun: boolean;
  /** Items that were gathered so far, as far as it is known here. */
  readonly indexed: number;
  /** Called once after the last page, with the `ordinals` of the items by number. Rejects if a thread has died. */
  finish(ordinals: Int32Array): Promise<Rebuilt>;
  /** Ends the threads, whatever they do; `finish` then never resolves or rejects. Idempotent. */
  end(): Promise<void>;
}

/** Messages are handled in the order they were sent. */
export type ToBuilder =
  | { readonly kind: 'items'; readonly page: MetadataPage }
  /** Called after the last page. */
  | { readonly kind: 'all'; readonly ordinals: Int32Array };

/** What a builder builds. */
export type Built = keyof Rebuilt;

export type FromBuilder =
  | { readonly kind: 'indexed'; readonly items: number }
  | { readonly kind: 'built'; readonly rebuilt: Partial<Rebuilt> };

/** Where a builder is: an ordered pipe either way. */
export interface BuilderPipe {
  post(message: ToBuilder): void;
  end(): Promise<void>;
}

export type OpenBuilder = (options: {
  readonly build: Built;
  readonly onMessage: (message: FromBuilder) => void;
  /** Called once if it has died without being ended. */
  readonly onExit: (error: unknown) => void;
}) => BuilderPipe;
