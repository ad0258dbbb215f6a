/** One client of the broker in memory: see `memory-stream.ts`. */
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Timer } from '../../../shared/kernel/kernel.ts';
import { connection, consumer, LEADERSHIP_KEY } from '../../../shared/stream/settings.ts';
import type {
  Control,
  ControlEntry,
  ControlKeys,
  PublishResult,
  Revision,
  Stream,
  StreamInfo,
  StreamMessage,
  SubscribeOptions,
  Subscription,
  SubscriptionEnd,
} from '../../../shared/stream/stream.ts';
import type { MemoryBroker, PublishFault, StreamState } from './memory-stream.ts';

/** Two pings without an answer, and the one that is due: when a black hole is noticed. */
const UNNOTICED_MS = connection.pingIntervalMs * (connection.maxPingOut + 1);

export class MemoryClient {
  readonly name: string;
  readonly stream: Stream;
  readonly control: Control;
  readonly keys: ControlKeys = (name) => this.createKey(name);
  readonly subscriptions = new Set<MemorySubscription>();
  /** Faults of the next publishes, first come first served. */
  readonly publishFaults: PublishFault[] = [];
  /** The control key does not answer this client. */
  controlAway = false;
  /** The next control write is stored and not answered. */
  loseControlAnswer = false;
  /** Publishes that reached the server or were meant to. */
  publishes = 0;
  /** Reads of the control key. */
  controlReads = 0;
  /** How often it connected. */
  connections = 0;
  private readonly broker: MemoryBroker;
  private readonly listeners = new Set<(connected: boolean) => void>();
  private readonly failures = new Set<(why: string) => void>();
  private readonly timers = new Set<Timer>();
  private standing = false;
  private linkUp = true;
  private closed = false;
  private payloadLimit = 0;

  constructor(broker: MemoryBroker, name: string) {
    this.broker = broker;
    this.name = name;
    this.stream = this.createStream();
    this.control = this.keys(LEADERSHIP_KEY);
    queueMicrotask(() => this.connectNow());
  }

  /** Breaks the link between this client and the broker. */
  disconnect(): void {
    this.linkUp = false;
    this.lose('the wire was cut');
  }

  reconnect(): void {
    this.linkUp = true;
    this.reconnectSoon();
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const subscription of [...this.subscriptions]) await subscription.close();
    this.lose('closed');
    for (const timer of this.timers) timer.cancel();
    this.broker.forget(this);
  }

  reconnectSoon(): void {
    this.after(connection.reconnectTimeWaitMs, () => this.connectNow());
  }

  /** Its process died: nothing of it runs any more, but messages it sent are in transit. */
  vanish(): void {
    this.closed = true;
    this.standing = false;
    this.connections++;
    this.listeners.clear();
    this.failures.clear();
    for (const subscription of this.subscriptions) subscription.vanish();
    this.subscriptions.clear();
    for (const timer of this.timers) timer.cancel();
    this.broker.forget(this);
  }

  private connectNow(): void {
    const { broker } = this;
    if (this.standing || this.closed || !this.linkUp || !broker.up || broker.paused) return;
    if (broker.wire?.open(this.name) === false) return;
    this.standing = true;
    this.connections++;
    this.payloadLimit = broker.payloadLimitBytes;
    for (const listener of [...this.listeners]) listener(true);
  }

  lose(why: string): void {
    if (!this.standing) return;
    this.standing = false;
    this.connections++;
    for (const fail of [...this.failures]) fail(why);
    this.endSubscriptions('disconnected', why);
    for (const listener of [...this.listeners]) listener(false);
  }

  fallSilent(still: () => boolean): void {
    this.after(UNNOTICED_MS, () => {
      if (still()) this.lose('pings are not answered');
    });
    this.after(2 * consumer.idleHeartbeatMs, () => {
      if (still()) this.endSubscriptions('heartbeats_missed', 'nothing from the consumer for 2 heartbeats');
    });
  }

  speakAgain(): void {
    this.wakeAll();
    if (!this.standing) this.reconnectSoon();
  }

  endSubscriptions(reason: SubscriptionEnd, detail = 'the test says so'): void {
    for (const subscription of [...this.subscriptions]) subscription.end(reason, detail);
  }

  /** The consumer continues to answer heartbeats but delivers nothing. */
  stallSubscriptions(): void {
    for (const subscription of this.subscriptions) subscription.stalled = true;
  }

  /** Repeats the last deliveries. */
  redeliver(count: number): void {
    for (const subscription of this.subscriptions) subscription.redeliver(count);
  }

  wakeAll(): void {
    for (const subscription of this.subscriptions) subscription.wake();
  }

  inFlight(fail: (why: string) => void): () => void {
    this.failures.add(fail);
    return () => this.failures.delete(fail);
  }

  private after(delayMs: number, action: () => void): void {
    const timer = this.broker.clock.after(delayMs, () => {
      this.timers.delete(timer);
      action();
    });
    this.timers.add(timer);
  }

  private createStream(): Stream {
    const client = this;
    const { broker } = this;
    const held = (): StreamState => {
      if (broker.stream === undefined) throw new Fault('stream_missing', 'there is no such stream');
      return broker.stream;
    };
    const ask = <T>(work: () => T): Promise<T> => broker.request(client, work);
    return {
      get connected() {
        return client.standing;
      },
      get messageLimitBytes() {
        return Math.max(0, client.payloadLimit - connection.headerRoomBytes);
      },
      onConnection(listener) {
        client.listeners.add(listener);
        return () => client.listeners.delete(listener);
      },
      ensure: () =>
        ask(() => {
          broker.stream ??= { created: broker.nextCreated(), first: 1, last: 0, messages: new Map() };
        }),
      checkSettings: (mend) =>
        ask(() => {
          const found = [...broker.changedSettings];
          if (mend) broker.changedSettings = [];
          return found.map((what) => ({ what, outcome: mend ? ('mended' as const) : ('left' as const) }));
        }),
      info: () =>
        ask((): StreamInfo => {
          const { created, first, last } = held();
          return { created, first, last };
        }),
      message: (sequence) => ask(() => held().messages.get(sequence)),
      lastOf: (origin) => ask(() => lastOf(held(), origin)),
      publish: (origin, bytes, expectedLast, mac) => client.publish(origin, bytes.slice(), expectedLast, mac),
      subscribe: async (options) => {
        const state = await ask(held);
        return new MemorySubscription(client, broker, state, options);
      },
    };
  }

  private async publish(
    origin: string,
    bytes: Uint8Array,
    expectedLast: number,
    mac: string | undefined,
  ): Promise<PublishResult> {
    const { broker } = this;
    this.publishes++;
    const store = (): PublishResult => {
      const { stream } = broker;
      if (stream === undefined) return { failure: 'unknown', detail: 'nobody answers' };
      if (bytes.length > broker.payloadLimitBytes) return { failure: 'unknown', detail: 'maximum payload exceeded' };
      const last = lastOf(stream, origin)?.sequence ?? 0;
      if (last !== expectedLast) return { failure: 'wrong_last', detail: `wrong last sequence: ${last}` };
      const sequence = ++stream.last;
      const message = { sequence, origin, bytes, mac };
      stream.messages.set(sequence, message);
      broker.onStored?.(message);
      broker.delivered();
      return { sequence };
    };
    const fault = this.stream.connected ? this.publishFaults.shift() : undefined;
    try {
      if (fault === undefined) return await broker.request(this, store);
      if (fault === 'lost_ack') await broker.request(this, store);
      if (fault === 'late') broker.sendLate(store);
      return await this.silence();
    } catch (error) {
      return { failure: 'unknown', detail: messageOf(error) };
    }
  }

  /** The time-out of a request, or the connection's end. */
  private silence(): Promise<PublishResult> {
    return new Promise((resolve) => {
      const end = (detail: string): void => {
        timer.cancel();
        forget();
        resolve({ failure: 'unknown', detail });
      };
      const timer = this.broker.clock.after(connection.requestTimeoutMs, () => end('no answer in time'));
      const forget = this.inFlight(end);
    });
  }

  private createKey(name: string): Control {
    const { broker } = this;
    const ask = async <T>(work: () => T): Promise<T> => {
      if (this.controlAway) throw new Fault('control_unavailable', 'the control key does not answer');
      try {
        return await broker.request(this, work);
      } catch (error) {
        throw new Fault('control_unavailable', messageOf(error), { cause: error });
      }
    };
    const write = async (work: () => { readonly revision: Revision } | 'conflict') => {
      const result = await ask(work);
      if (!this.loseControlAnswer) return result;
      this.loseControlAnswer = false;
      throw new Fault('control_unavailable', 'no answer in time');
    };
    const put = (value: unknown): { readonly revision: Revision } => {
      const { revision } = broker.writeKey(name, JSON.stringify(value));
      broker.onKey?.(name, value);
      return { revision };
    };
    return {
      read: () => {
        if (name === LEADERSHIP_KEY) this.controlReads++;
        return ask((): ControlEntry | 'missing' => {
          const entry = broker.bucket?.entries.get(name);
          return entry === undefined ? 'missing' : { revision: entry.revision, value: parsed(entry.json) };
        });
      },
      create: (value) =>
        write(() => {
          return broker.makeBucket().entries.has(name) ? 'conflict' : put(value);
        }),
      update: (value, revision) =>
        write(() => (broker.bucket?.entries.get(name)?.revision === revision ? put(value) : 'conflict')),
    };
  }
}

/** Undefined for what is not JSON. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Deliveries one at a time, from one sequence on. */
export class MemorySubscription implements Subscription {
  /** Set by the test: nothing is delivered any more, without a notice. */
  stalled = false;
  private readonly client: MemoryClient;
  private readonly broker: MemoryBroker;
  private readonly state: StreamState;
  private readonly options: SubscribeOptions;
  private readonly finished: Promise<void>;
  private next: number;
  private ending: { readonly reason: SubscriptionEnd; readonly detail: string } | undefined;
  private closed = false;
  private look: (() => void) | undefined;

  constructor(client: MemoryClient, broker: MemoryBroker, state: StreamState, options: SubscribeOptions) {
    this.client = client;
    this.broker = broker;
    this.state = state;
    this.options = options;
    this.next = options.from;
    client.subscriptions.add(this);
    // Not before the subscriber holds the subscription.
    this.finished = new Promise<void>((resolve) => broker.clock.after(0, resolve)).then(() => this.run());
  }

  async close(): Promise<void> {
    this.closed = true;
    this.wake();
    await this.finished;
  }

  /** Its process died. */
  vanish(): void {
    this.closed = true;
    this.wake();
  }

  redeliver(count: number): void {
    this.next = Math.max(1, this.next - count);
    this.wake();
  }

  end(reason: SubscriptionEnd, detail: string): void {
    this.ending ??= { reason, detail };
    this.wake();
  }

  wake(): void {
    this.look?.();
  }

  private get over(): boolean {
    return this.closed || this.ending !== undefined;
  }

  private async run(): Promise<void> {
    while (!this.over) {
      const message = this.waitingMessage();
      if (message === undefined) await this.woken();
      else {
        await this.travel();
        if (!this.over) await this.deliver(message);
      }
    }
    this.client.subscriptions.delete(this);
    if (this.closed || this.ending === undefined) return;
    this.options.onSubscriptionEnd(this.ending.reason, this.ending.detail);
  }

  private travel(): Promise<void> | undefined {
    const { clock, wire } = this.broker;
    const delayMs = wire?.toClient(this.client.name);
    return delayMs === undefined ? undefined : new Promise((resolve) => void clock.after(delayMs, resolve));
  }

  private waitingMessage(): StreamMessage | undefined {
    const { paused, wire } = this.broker;
    if (this.stalled || paused || wire?.open(this.client.name) === false) return undefined;
    const { first, last, messages } = this.state;
    for (let sequence = Math.max(this.next, first); sequence <= last; sequence++) {
      const message = messages.get(sequence);
      if (message !== undefined) return message;
    }
    return undefined;
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.look = () => {
        this.look = undefined;
        resolve();
      };
    });
  }

  private async deliver(message: StreamMessage): Promise<void> {
    this.next = message.sequence + 1;
    try {
      await this.options.onMessage(message);
    } catch (error) {
      this.end('error', messageOf(error));
    }
  }
}

/** The subject's last remaining message. */
function lastOf(stream: StreamState, origin: string): StreamMessage | undefined {
  for (let sequence = stream.last; sequence >= stream.first; sequence--) {
    const message = stream.messages.get(sequence);
    if (message?.origin === origin) return message;
  }
  return undefined;
}
