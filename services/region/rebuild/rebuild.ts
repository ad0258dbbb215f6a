/**
 * Filter index and text index of very many items, built beside everything else while a region starts: a thread for each index gathers
 * what the live items have, in the catalog's own memory and as it is filled; told their ordinals in the end, it puts everything in
 * order and hands over its index as plain data, which is moved, not copied.
 *
 * Promise: what is handed over is what telling the indexes each of these items would have made. Nothing of it is kept
 * anywhere: a start makes it anew from the registers.
 *
 * What can go wrong with a thread is told by `finish`, which then rejects: the items are indexed one by one instead.
 */
import type { MetadataPage } from '../state/catalog/catalog.ts';
import type { FilterIndexImage } from '../state/filter-index/filter-index.ts';
import type { TextImage } from '../state/text/text.ts';

export interface Rebuilt {
  readonly text: TextImage;
  readonly filterIndex: FilterIndexImage;
}

export interface Rebuild {
  /** The next live items, numbered 0, 1, 2 … over all pages. Nobody writes to the page before {@link end} has resolved. */
  add(page: MetadataPage): void;
  /** Whether enough items came for threads to be worth it, more than a page; otherwise there is nothing to finish. */
  readonly begun: boolean;
  /** Items that were gathered so far, as far as it is known here. */
  readonly indexed: number;
  /** Those were all; `ordinals` of the items, by number. Once. Rejects when a thread is gone. */
  finish(ordinals: Int32Array): Promise<Rebuilt>;
  /** Ends the threads, whatever they do; `finish` then never settles. Idempotent. */
  end(): Promise<void>;
}

/** Everything is taken in the order it was sent. */
export type ToBuilder =
  | { readonly kind: 'items'; readonly page: MetadataPage }
  /** Those were all. */
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
  /** It is gone, and nobody has ended it. Once. */
  readonly onExit: (error: unknown) => void;
}) => BuilderPipe;
