/**
 * Stream and control key in memory, with JetStream's semantics where they hurt: the expectation is compared with the
 * *stream* sequence of the subject's last remaining message; a publish can land without its acknowledgement, or after
 * its time-out; `created` survives a restart and a restored older copy, and changes with a new stream; a consumer asked for more than there is waits for that sequence.
 *
 * Passes `stream-contract.ts`, as the real one does. Requests take no time unless the broker is paused.
 */
import { Fault } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { connection } from '../../../shared/stream/settings.ts';
import type { Revision, StreamMessage, SubscriptionEnd } from '../../../shared/stream/stream.ts';
import { MemoryClient, type MemorySubscription } from './memory-client.ts';

/** What happens to a client's next publish. */
export type PublishFault =
  /** Stored, the acknowledgement is lost. */
  | 'lost_ack'
  /** Not acknowledged in time; stored when the test says `landLate`, if its expectation still holds then. */
  | 'late'
  /** Never arrives. */
  | 'dropped';

/** What the broker's disk holds of the stream. */
export interface StreamState {
  readonly created: string;
  first: number;
  last: number;
  readonly messages: Map<number, StreamMessage>;
}

export interface BucketState {
  readonly created: string;
  /** By key. No two writes of a broker have the same revision, whatever was lost, copied or restored between them. */
  readonly entries: Map<
    string,
    { readonly revision: Revision; readonly sequence: number; readonly json: string; readonly mac?: string | undefined }
  >;
  /** Of its stream: writes of all keys. A copy that is restored counts on from where it was. */
  last: number;
}

/** The way between a client and the server, if it takes time and may be broken: in a simulation. */
export interface Wire {
  /** When what is sent now arrives, ms from now; undefined: it does not. Nothing overtakes what was sent before it. */
  toServer(client: string): number | undefined;
  toClient(client: string): number | undefined;
  /** Whether anything passes at all; a consumer's messages wait while it does not. */
  open(client: string): boolean;
}

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  /** Absent: everything arrives at once. */
  readonly wire?: Wire;
  /** Called with every message that is stored. */
  readonly onStored?: (message: StreamMessage) => void;
  /** Called with every value of a key. */
  readonly onKey?: (name: string, value: unknown) => void;
  readonly payloadLimitBytes?: number;
}

export class MemoryBroker {
  readonly clock: Clock;
  readonly wire: Wire | undefined;
  readonly onStored: ((message: StreamMessage) => void) | undefined;
  readonly onKey: ((name: string, value: unknown) => void) | undefined;
  payloadLimitBytes: number;
  stream: StreamState | undefined;
  bucket: BucketState | undefined;
  /** Changed settings, as sentences. */
  changedSettings: string[] = [];
  up = true;
  paused = false;
  private readonly clients = new Set<MemoryClient>();
  private waiting: (() => void)[] = [];
  private late: (() => void)[] = [];
  private creations = 0;
  private keyWrites = 0;
  /** Of the server's process: what was on its way to an earlier one never arrives. */
  private starts = 0;

  constructor({ clock, wire, onStored, onKey, payloadLimitBytes = 1024 * 1024 }: MemoryBrokerOptions) {
    this.clock = clock;
    this.wire = wire;
    this.onStored = onStored;
    this.onKey = onKey;
    this.payloadLimitBytes = payloadLimitBytes;
  }

  /** A client of this name; it connects in the background. */
  connect(name: string): MemoryClient {
    const client = new MemoryClient(this, name);
    this.clients.add(client);
    return client;
  }

  async kill(): Promise<void> {
    this.up = false;
    this.paused = false;
    this.waiting = [];
    this.starts++;
    for (const client of this.clients) client.lose('the server was killed');
  }

  /**
   * With `wiped`, nothing is left of stream and bucket; with `from`, its disk is an older copy; with `lost`, that many messages
   * at the stream's end were not synced.
   */
  async restart({ wiped = false, from, lost = 0 }: RestartOptions = {}): Promise<void> {
    await this.kill();
    if (this.stream !== undefined) loseTail(this.stream, lost);
    if (wiped) {
      this.stream = undefined;
      this.bucket = undefined;
    }
    if (from !== undefined) {
      this.stream = copyOfStream(from.stream);
      this.bucket = copyOfBucket(from.bucket);
    }
    this.up = true;
    for (const client of this.clients) client.reconnectSoon();
  }

  /** What a backup of the broker's disk would hold now. */
  copy(): BrokerCopy {
    return {
      stream: copyOfStream(this.stream),
      bucket: copyOfBucket(this.bucket),
    };
  }

  private backup: BrokerCopy | undefined;

  /** As an operator's backup: the server is stopped for it. */
  async backUp(): Promise<void> {
    this.backup = this.copy();
    await this.restart();
  }

  async restoreBackup(): Promise<void> {
    await this.restart(this.backup === undefined ? {} : { from: this.backup });
  }

  /** The server stops answering; what was sent waits in its sockets. */
  pause(): void {
    if (this.paused || !this.up) return;
    this.paused = true;
    for (const client of this.clients) client.fallSilent(() => this.paused);
  }

  /** The link to this client was broken: the server does not know, and the client notices by missing heartbeats. */
  silence(name: string): void {
    for (const client of this.clients) {
      if (client.name === name) client.fallSilent(() => this.wire?.open(name) === false);
    }
  }

  /** The way to this client is whole again. */
  hear(name: string): void {
    for (const client of this.clients) if (client.name === name && !this.paused) client.speakAgain();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    for (const run of this.waiting.splice(0)) run();
    for (const client of this.clients) client.speakAgain();
  }

  async deleteStream(): Promise<void> {
    this.stream = undefined;
    for (const client of this.clients) client.endSubscriptions('stream_gone', 'the stream is not there');
  }

  /** Drops every message before `first`; all of them when absent. Sequences continue. */
  async purgeStream(first?: number): Promise<void> {
    const { stream } = this;
    if (stream === undefined) return;
    stream.first = Math.max(stream.first, Math.min(first ?? stream.last + 1, stream.last + 1));
    for (const sequence of [...stream.messages.keys()]) if (sequence < stream.first) stream.messages.delete(sequence);
  }

  async changeSettings(): Promise<void> {
    this.changedSettings = ['max_msg_size of TIDAL_WAL is 10, not -1'];
  }

  async deleteBucket(): Promise<void> {
    this.bucket = undefined;
  }

  /** Puts other bytes in place of a stored message's. */
  damage(sequence: number, change: (bytes: Uint8Array) => Uint8Array): void {
    const message = this.stream?.messages.get(sequence);
    if (message === undefined) throw new Error(`the stream holds no message ${sequence}`);
    this.stream?.messages.set(sequence, { ...message, bytes: change(message.bytes.slice()) });
  }

  /** A message without an expectation: it is the last one now. */
  publish(origin: string, bytes: Uint8Array, mac?: string): StreamMessage {
    const { stream } = this;
    if (stream === undefined) throw new Error('there is no stream');
    const message = { sequence: ++stream.last, origin, bytes, mac };
    stream.messages.set(message.sequence, message);
    this.delivered();
    return message;
  }

  /** A value written without a comparison; any text. */
  writeKey(name: string, text: string, mac?: string): { readonly revision: Revision; readonly sequence: number } {
    const { bucket } = this;
    if (bucket === undefined) throw new Error('there is no bucket');
    this.keyWrites++;
    const written = { revision: `write ${this.keyWrites}` as Revision, sequence: ++bucket.last };
    bucket.entries.set(name, { ...written, json: text, mac });
    return written;
  }

  makeBucket(): BucketState {
    this.bucket ??= { created: this.nextCreated(), entries: new Map(), last: 0 };
    return this.bucket;
  }

  /** What timed out earlier arrives now, in the order it was sent. */
  landLate(): void {
    for (const run of this.late.splice(0)) run();
  }

  async stop(): Promise<void> {
    await this.kill();
    await Promise.all([...this.clients].map((client) => client.close()));
  }

  /** For clients: runs `work` at the server; rejects when there is no answer in time. */
  request<T>(client: MemoryClient, work: () => T): Promise<T> {
    if (!client.stream.connected) return Promise.reject(new Fault('stream_unavailable', 'not connected to the stream'));
    if (this.wire !== undefined) return this.requestByWire(client, work, this.wire);
    if (!this.paused) return Promise.resolve().then(work);
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        timer.cancel();
        forget();
        reject(new Fault('stream_unavailable', why));
      };
      const timer = this.clock.after(connection.requestTimeoutMs, () => fail('no answer in time'));
      const forget = client.inFlight(fail);
      this.waiting.push(() => {
        timer.cancel();
        forget();
        // Settles a promise that may have failed already: the work is still done.
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  private requestByWire<T>(client: MemoryClient, work: () => T, wire: Wire): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        forget();
      };
      const fail = (why: string): void => {
        end();
        reject(new Fault('stream_unavailable', why));
      };
      const timer = this.clock.after(connection.requestTimeoutMs, () => fail('no answer in time'));
      const forget = client.inFlight(fail);
      this.carry(client, () => {
        let settle: () => void;
        try {
          const answer = work();
          settle = () => resolve(answer);
        } catch (error) {
          settle = () => reject(error);
        }
        const { connections } = client;
        const delayMs = wire.toClient(client.name);
        if (delayMs === undefined) return;
        this.clock.after(delayMs, () => {
          // Another connection has another inbox; to a settled promise it makes no difference.
          if (client.connections !== connections) return;
          end();
          settle();
        });
      });
    });
  }

  /** A message arrives even if its sender has ended by then, unless the server is another one. */
  private carry(client: MemoryClient, arrive: () => void): void {
    const delayMs = this.wire?.toServer(client.name);
    if (delayMs === undefined) return;
    const { starts } = this;
    this.clock.after(delayMs, () => {
      if (!this.up || this.starts !== starts) return;
      if (this.paused) this.waiting.push(arrive);
      else arrive();
    });
  }

  sendLate(work: () => void): void {
    this.late.push(work);
  }

  nextCreated(): string {
    this.creations++;
    return new Date(Date.UTC(2026, 0, 1) + this.creations).toISOString();
  }

  /** For clients: wakes every subscription. */
  delivered(): void {
    for (const client of this.clients) client.wakeAll();
  }

  forget(client: MemoryClient): void {
    this.clients.delete(client);
  }
}

export interface RestartOptions {
  readonly wiped?: boolean;
  readonly from?: BrokerCopy;
  readonly lost?: number;
}

export interface BrokerCopy {
  readonly stream: StreamState | undefined;
  readonly bucket: BucketState | undefined;
}

function loseTail(stream: StreamState, count: number): void {
  for (let left = count; left > 0 && stream.last >= stream.first; left--) stream.messages.delete(stream.last--);
}

function copyOfStream(stream: StreamState | undefined): StreamState | undefined {
  return stream === undefined ? undefined : { ...stream, messages: new Map(stream.messages) };
}

function copyOfBucket(bucket: BucketState | undefined): BucketState | undefined {
  return bucket === undefined ? undefined : { ...bucket, entries: new Map(bucket.entries) };
}

export type { MemoryClient, MemorySubscription, SubscriptionEnd };
