/**
 * Keys: who may use the public surface, and for what. Contract of this folder.
 *
 * A key is a secret with a name and scopes. A client sends the secret as a bearer token; the router knows its SHA-256 only. A
 * scope allows its routes and no others: none of them includes another.
 *
 * Promise: a request is checked before any of its body is read, so that one without the right key changes nothing. No secret is
 * logged or answered; of a key the logs have its name.
 */
import type { Context } from 'koa';

export const scopes = ['read', 'write', 'admin', 'metrics'] as const;
/**
 * - `read`: feeds, searches, suggestions, items.
 * - `write`: items, embeddings, signals.
 * - `admin`: everything under `/cluster/`.
 * - `metrics`: `/metrics` and `/metrics/nats`.
 */
export type Scope = (typeof scopes)[number];

export interface AccessKey {
  /** Unique. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** SHA-256 of the secret. */
  readonly digest: Uint8Array;
  /** Epoch ms from which on it is not valid. */
  readonly expiresMs?: number;
  /** Requests a second at one router. */
  readonly rate?: number;
}

export interface Access {
  /** Throws `unauthenticated`, `forbidden` or `rate_limited`. `scope` undefined: any valid key will do. */
  check(ctx: Context, scope: Scope | undefined): void;
  /** Whether a request that {@link check} has passed would pass it now. Uses nothing of the key's rate. */
  stillAllows(ctx: Context, scope: Scope): boolean;
}

/** A file of keys. */
export interface KeysSource {
  readonly path: string;
  /** Its text at the start. */
  readonly text: string;
  /** Its text now. */
  read(): Promise<string>;
}

/** The keys of a router as it starts. Without any, every request is accepted. */
export interface KeySettings {
  /** The secret of `TIDAL_API_KEY`: a key with every scope. */
  readonly single?: string | undefined;
  readonly source?: KeysSource | undefined;
  /** `/metrics` needs no key. */
  readonly openMetrics: boolean;
}

/** Name of the key of `TIDAL_API_KEY`; keys of the file have lower-case names. */
export const SINGLE_KEY_NAME = 'TIDAL_API_KEY';
