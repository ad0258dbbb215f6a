/**
 * One subscription: one plain ephemeral pull consumer, from one stream sequence, until anything is doubtful.
 *
 * Not an ordered consumer: that one re-creates itself after the stream was re-created and skips silently. It is not kept across a
 * disconnect: the subscriber checks the stream's fingerprint and subscribes anew.
 *
 * Deliveries are strictly one at a time. `onSubscriptionEnd` runs, and `close` resolves, only after the delivery in progress
 * has ended, so that two subscriptions never deliver side by side; `close` must not be awaited inside `onMessage`.
 */
import { ConsumerEvents, type ConsumerMessages, type JsMsg } from 'nats';
import { Fault, messageOf } from '../errors/errors.ts';
import type { Clock } from '../kernel/kernel.ts';
import { errorCodeOf, errorCodes, faultOfApiError, faultOfTimeout } from './jetstream-errors.ts';
import type { Link } from './jetstream-link.ts';
import { connection, consumer as limits, MAC_HEADER, STREAM_NAME } from './settings.ts';
import { originOf, type SubscribeOptions, type Subscription, type SubscriptionEnd } from './stream.ts';

interface Ending {
  readonly reason: SubscriptionEnd;
  readonly detail: string;
}

const nanosecondsPerMs = 1_000_000;

export async function openSubscription(link: Link, clock: Clock, options: SubscribeOptions): Promise<Subscription> {
  const name = await createConsumer(link, options.from);
  try {
    const consumer = await link
      .connection()
      .jetstream({ timeout: connection.requestTimeoutMs })
      .consumers.get(STREAM_NAME, name);
    const messages = await consumer.consume({
      max_messages: limits.maxMessages,
      idle_heartbeat: limits.idleHeartbeatMs,
      abort_on_missing_resource: true,
    });
    return new Deliveries({ link, clock, options, messages });
  } catch (error) {
    throw errorCodeOf(error) === undefined
      ? faultOfTimeout(error, 'subscribe')
      : faultOfApiError((error as { api_error: object }).api_error, 'subscribe');
  }
}

async function createConsumer(link: Link, from: number): Promise<string> {
  const answer = await link.api(`CONSUMER.CREATE.${STREAM_NAME}`, {
    stream_name: STREAM_NAME,
    config: {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: from,
      ack_policy: 'none',
      inactive_threshold: limits.inactiveThresholdMs * nanosecondsPerMs,
      mem_storage: true,
      num_replicas: 1,
    },
  });
  if (answer.error !== undefined) throw faultOfApiError(answer.error, 'subscribe');
  if (typeof answer.name !== 'string') throw new Fault('stream_error', 'subscribe: the consumer has no name');
  return answer.name;
}

interface DeliveriesOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly options: SubscribeOptions;
  readonly messages: ConsumerMessages;
}

class Deliveries implements Subscription {
  private readonly link: Link;
  private readonly options: SubscribeOptions;
  private readonly messages: ConsumerMessages;
  private readonly finished: Promise<void>;
  private readonly stopListening: () => void;
  private ending: Ending | undefined;
  private closed = false;

  constructor({ link, clock, options, messages }: DeliveriesOptions) {
    this.link = link;
    this.options = options;
    this.messages = messages;
    this.stopListening = link.onConnection((connected) => {
      if (!connected) this.end('disconnected', 'the connection was lost');
    });
    // Lost between the consumer's creation and now: the listener was registered too late for the event.
    if (!link.connected) this.end('disconnected', 'the connection was lost');
    // Not before the subscriber has the subscription: an earlier callback would find nothing to close.
    this.finished = new Promise<void>((resolve) => clock.after(0, resolve)).then(() => this.run());
  }

  async close(): Promise<void> {
    this.closed = true;
    void this.messages.close();
    await this.finished;
  }

  private end(reason: SubscriptionEnd, detail: string): void {
    this.ending ??= { reason, detail };
    void this.messages.close();
  }

  private async run(): Promise<void> {
    void this.watchHeartbeats();
    try {
      for await (const message of this.messages) {
        // Messages buffered after the end are read and dropped, so that the iterator reaches its own end.
        if (!this.closed && this.ending === undefined) await this.deliver(message);
      }
    } catch (error) {
      if (!this.closed && this.ending === undefined) this.ending = await this.explain(error);
    }
    this.stopListening();
    if (this.closed) return;
    const { reason, detail } = this.ending ?? { reason: 'error', detail: 'the consumer ended without a reason' };
    this.options.onSubscriptionEnd(reason, detail);
  }

  private async deliver(message: JsMsg): Promise<void> {
    try {
      await this.options.onMessage({
        sequence: message.seq,
        origin: originOf(message.subject),
        bytes: message.data,
        mac: message.headers?.get(MAC_HEADER) || undefined,
      });
    } catch (error) {
      this.end('error', messageOf(error));
    }
  }

  /**
   * This also ends a subscription whose receiver took longer than two heartbeats for prefetched messages: then no request is
   * open, so the server sends nothing. The receiver subscribes anew and continues after its last message.
   */
  private async watchHeartbeats(): Promise<void> {
    for await (const status of await this.messages.status()) {
      if (status.type !== ConsumerEvents.HeartbeatsMissed) continue;
      this.end('heartbeats_missed', `nothing from the consumer for ${status.data} heartbeats`);
    }
  }

  /** Why the library's iterator threw. A consumer deleted with its stream looks like one that was deleted alone. */
  private async explain(error: unknown): Promise<Ending> {
    const code = errorCodeOf(error);
    if (code === errorCodes.streamNotFound) return { reason: 'stream_gone', detail: 'the stream is not there' };
    const { code: status } = error as { code?: unknown };
    const gone = code === errorCodes.consumerNotFound || status === '409' || status === '503';
    if (!gone) return { reason: 'error', detail: messageOf(error) };
    const answer = await this.link.api(`STREAM.INFO.${STREAM_NAME}`).catch(() => undefined);
    if (!this.link.connected) return { reason: 'disconnected', detail: 'the connection was lost' };
    return answer?.error?.err_code === errorCodes.streamNotFound
      ? { reason: 'stream_gone', detail: 'the stream is not there' }
      : { reason: 'consumer_gone', detail: messageOf(error) };
  }
}
