/**
 * The stream and the control key as the core sees them: the only door to NATS. Implementations: `jetstream.ts` (real)
 * and, for the simulation, a fake that passes the same contract suite (`test/harness/stream/stream-contract.ts`).
 *
 * The stream is transport, not truth: it may lose its tail, be wiped, or be restored from an older copy. A stream sequence is
 * never used without its fingerprint.
 */

export const SUBJECT_PREFIX = 'tidal.wal.';

/** Subjects of the stream: of batches, and of batches of earlier versions, `tidal.wal.<region>@<random>`. */
export const subjectPatterns: readonly string[] = [`${SUBJECT_PREFIX}*.*`, `${SUBJECT_PREFIX}*`];

/** Subject of the batches of an origin: `tidal.wal.<region>.<random>`, so that a server can permit a region its own origins only. */
export function subjectOf(origin: string): string {
  return SUBJECT_PREFIX + origin.replace('@', '.');
}

export function originOf(subject: string): string {
  return subject.slice(SUBJECT_PREFIX.length).replace('.', '@');
}

export interface StreamInfo {
  /** The server's creation time of the stream: another value means another stream. */
  readonly created: string;
  /** Stream sequences; `first` = `last` + 1 if it is empty. */
  readonly first: number;
  readonly last: number;
}

export interface StreamMessage {
  readonly sequence: number;
  readonly origin: string;
  readonly bytes: Uint8Array;
  /** The code that authenticates the bytes as those of the origin's region; absent: it was published without one. */
  readonly mac?: string | undefined;
}

/** Why a publish did not get its acknowledgement. After either the shipper's mark is *unknown*. */
export type PublishFailure =
  /** The subject's last message is not the expected one. */
  | 'wrong_last'
  /** Anything else: time-out, disconnect, no stream, full. The message may have landed, or land later. */
  | 'unknown';

export type PublishResult =
  | { readonly sequence: number }
  | { readonly failure: PublishFailure; readonly detail: string };

/** Why a subscription ended by itself. In every case: close and subscribe anew, after checking the fingerprint. */
export type SubscriptionEnd = 'disconnected' | 'consumer_gone' | 'stream_gone' | 'heartbeats_missed' | 'error';

export interface Subscription {
  /**
   * Stops deliveries; resolves when nothing more will be delivered and the delivery in progress has ended (so it must not
   * be awaited inside `onMessage`). Idempotent.
   */
  close(): Promise<void>;
}

export interface SubscribeOptions {
  /** First stream sequence wanted; never beyond last + 1. */
  readonly from: number;
  /** Called in stream order, one at a time: the next delivery waits for the promise. */
  readonly onMessage: (message: StreamMessage) => Promise<void>;
  /**
   * Called at most once, never after `close`, never before `subscribe` has resolved, and only after the delivery in progress
   * has ended. `error` = `onMessage` threw, or the server refused the consumer.
   */
  readonly onSubscriptionEnd: (reason: SubscriptionEnd, detail: string) => void;
}

/** One changed setting. */
export interface SettingsDifference {
  /** Its name, its value, and the right value. */
  readonly what: string;
  /** `left`: no attempt was made to restore it. `stuck`: the server refuses to change it. */
  readonly outcome: 'mended' | 'left' | 'stuck';
  /** Why it is stuck. */
  readonly why?: string;
}

/**
 * Every call may throw `Fault` with one of these codes: `stream_unavailable` (not connected, timed out), `stream_missing`
 * (connected, but there is no such stream), `stream_error`.
 */
export interface Stream {
  /** Whether there is a connection, by its pings. */
  readonly connected: boolean;
  /** The largest message that the server accepts, bytes, without the headers; 0 before the first connection. */
  readonly messageLimitBytes: number;
  /** Runs at every change of `connected`. The result removes it. */
  onConnection(listener: (connected: boolean) => void): () => void;
  /** Creates the stream, or updates it to the table in `settings.ts`. Idempotent. */
  ensure(): Promise<void>;
  /**
   * The settings of stream and control bucket that differ from `settings.ts`; with `mend` they are restored as far as the server
   * allows. Creates nothing.
   */
  checkSettings(mend: boolean): Promise<readonly SettingsDifference[]>;
  info(): Promise<StreamInfo>;
  /** The message at a stream sequence; undefined if the stream does not have it. */
  message(sequence: number): Promise<StreamMessage | undefined>;
  /** The last message of an origin's subject; undefined if none is left (which does not mean that nothing was shipped). */
  lastOf(origin: string): Promise<StreamMessage | undefined>;
  /** Publishes whole batches. `expectedLast` = stream sequence of the subject's last message, 0 if none is left. */
  publish(origin: string, bytes: Uint8Array, expectedLast: number, mac?: string): Promise<PublishResult>;
  subscribe(options: SubscribeOptions): Promise<Subscription>;
}

/**
 * One write of one key, in one bucket. Opaque: two are the same write exactly if they are equal. A bucket that was recreated or
 * restored from an older copy reuses sequences, so a sequence alone does not identify a write.
 */
export type Revision = string & { readonly opaque: unique symbol };

export interface ControlEntry {
  readonly revision: Revision;
  /** The parsed JSON value, or `Unproven`. */
  readonly value: unknown;
  /** The value is valid, and its MAC under a secret that is being replaced: it is to be written again. */
  readonly renew?: true;
}

/** In place of a value that no process of this cluster is proven to have written. */
export class Unproven {
  readonly flaw: string;
  private readonly value: unknown;

  constructor(flaw: string, value: unknown) {
    this.flaw = flaw;
    this.value = value;
  }

  /** For logs. */
  toJSON(): unknown {
    return this.value;
  }
}

/** The key of this name in the control bucket; the same name is the same key. */
export type ControlKeys = (name: string) => Control;

/**
 * One key in the control bucket. `missing` = the server answered and there is no such key (or no bucket); anything that
 * is not an answer throws `Fault('control_unavailable')`, after which the caller re-reads.
 */
export interface Control {
  read(): Promise<ControlEntry | 'missing'>;
  /** Creates the bucket if need be and the key if it does not exist. `conflict` = another client did. */
  create(value: unknown): Promise<{ readonly revision: Revision } | 'conflict'>;
  /**
   * Compare-and-set: the key gets the value if its newest write is the one `revision` names. Otherwise `conflict`, also if
   * another write has that sequence because the bucket was lost and recreated or restored from an older copy.
   */
  update(value: unknown, revision: Revision): Promise<{ readonly revision: Revision } | 'conflict'>;
}
