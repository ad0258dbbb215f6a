/**
 * The stream and the control key on NATS JetStream.
 *
 * Promise: an acknowledged publish is stored once, at the stated sequence, behind the stated last message of its subject; a
 * publish that is not acknowledged is *unknown*: it may have landed, or land later (a paused server accepts it when it resumes).
 * The receivers' check of positions is authoritative, never the acknowledgement.
 *
 * It connects in the background from construction to `close`; every call fails at once while there is no connection. A crash of
 * this process leaves at most an ephemeral consumer, which the server forgets after 10 s.
 */
import type { InternalKeys } from '../credentials/internal-keys.ts';
import { Fault, messageOf } from '../errors/errors.ts';
import type { Clock } from '../kernel/kernel.ts';
import type { BrokerAccess } from './broker-access.ts';
import { JetStreamControl } from './jetstream-control.ts';
import { errorCodes, faultOfApiError } from './jetstream-errors.ts';
import { Link, type LinkLog, NOT_PERMITTED } from './jetstream-link.ts';
import { checkConsumers, checkSettings } from './jetstream-settings.ts';
import { openSubscription } from './jetstream-subscription.ts';
import {
  bucketConfiguration,
  connection,
  LEADERSHIP_KEY,
  MAC_HEADER,
  STREAM_NAME,
  type StreamSettings,
  streamConfiguration,
} from './settings.ts';
import {
  type Control,
  type ControlKeys,
  originOf,
  type PublishResult,
  type SettingsDifference,
  type Stream,
  type StreamInfo,
  type StreamMessage,
  type SubscribeOptions,
  type Subscription,
  subjectOf,
} from './stream.ts';

export interface JetStreamOptions {
  /** `nats://host:port`; several servers of one cluster with commas between them. */
  readonly url: string;
  /** The client's name in the server's connection list: the region or router. */
  readonly name: string;
  readonly clock: Clock;
  /** Absent: the server takes anyone. */
  readonly access?: BrokerAccess;
  readonly settings: StreamSettings;
  /** For the MACs of the values of the control bucket. Absent: they have none, and none is demanded. */
  readonly internalKeys?: InternalKeys;
  /** Outages and recoveries, one line each. */
  readonly log?: LinkLog;
}

export interface JetStreamClient {
  readonly stream: Stream;
  /** The leadership key. */
  readonly control: Control;
  readonly keys: ControlKeys;
  /** Closes the subscriptions, then the connection: no timer is left and no callback runs after it. Idempotent. */
  close(): Promise<void>;
}

/** Returns at once; `stream.connected` turns true when the first connection stands. */
export function connectJetStream(options: JetStreamOptions): JetStreamClient {
  const { url, name, clock, access, settings, internalKeys, log } = options;
  const link = new Link({ url, name, clock, access, ...(log === undefined ? {} : { log }) });
  const stream = new JetStream(link, clock, settings);
  return {
    stream,
    control: new JetStreamControl(link, LEADERSHIP_KEY, { ...settings, internalKeys }),
    keys: (name) => new JetStreamControl(link, name, { ...settings, internalKeys }),
    close: async () => {
      await stream.endSubscriptions();
      await link.close();
    },
  };
}

class JetStream implements Stream {
  private readonly link: Link;
  private readonly clock: Clock;
  private readonly settings: StreamSettings;
  private readonly subscriptions = new Set<Subscription>();
  private closed = false;

  constructor(link: Link, clock: Clock, settings: StreamSettings) {
    this.link = link;
    this.clock = clock;
    this.settings = settings;
  }

  get connected(): boolean {
    return this.link.connected;
  }

  get messageLimitBytes(): number {
    return Math.max(0, this.link.payloadLimitBytes - connection.headerRoomBytes);
  }

  onConnection(listener: (connected: boolean) => void): () => void {
    return this.link.onConnection(listener);
  }

  async ensure(): Promise<void> {
    const configuration = streamConfiguration(this.settings);
    const created = await this.link.api(`STREAM.CREATE.${STREAM_NAME}`, configuration);
    if (created.error === undefined) return;
    if (created.error.err_code !== errorCodes.streamConfigDiffers) throw faultOfApiError(created.error, 'create');
    const updated = await this.link.api(`STREAM.UPDATE.${STREAM_NAME}`, configuration);
    // No process of the cluster may change it at run time: `checkSettings` reports the difference.
    if (updated.error?.code === NOT_PERMITTED) return;
    if (updated.error !== undefined) throw faultOfApiError(updated.error, 'update');
  }

  async checkSettings(mend: boolean): Promise<readonly SettingsDifference[]> {
    const stream = await checkSettings(this.link, streamConfiguration(this.settings), mend);
    const bucket = await checkSettings(this.link, bucketConfiguration(this.settings), mend);
    return [...stream, ...bucket, ...(await checkConsumers(this.link, STREAM_NAME))];
  }

  async info(): Promise<StreamInfo> {
    const answer = await this.link.api(`STREAM.INFO.${STREAM_NAME}`);
    if (answer.error !== undefined) throw faultOfApiError(answer.error, 'info');
    const { created, state } = answer as { created?: unknown; state?: { first_seq?: number; last_seq?: number } };
    const last = state?.last_seq ?? 0;
    const first = state?.first_seq ?? 0;
    // A stream that never had a message reports 0 and 0.
    return { created: String(created), first: Math.max(first, 1), last };
  }

  message(sequence: number): Promise<StreamMessage | undefined> {
    return this.get({ seq: sequence });
  }

  lastOf(origin: string): Promise<StreamMessage | undefined> {
    return this.get({ last_by_subj: subjectOf(origin) });
  }

  async publish(origin: string, bytes: Uint8Array, expectedLast: number, mac?: string): Promise<PublishResult> {
    try {
      const { error, seq, duplicate } = await this.link.publish(subjectOf(origin), bytes, expectedLast, mac);
      if (error?.err_code === errorCodes.wrongLastSequence) {
        return { failure: 'wrong_last', detail: error.description ?? 'wrong last sequence' };
      }
      if (error !== undefined) return { failure: 'unknown', detail: faultOfApiError(error, 'publish').message };
      // `duplicate` acknowledges a message that is not stored. No message has an id, so it should not occur.
      if (duplicate === true || typeof seq !== 'number')
        return { failure: 'unknown', detail: 'not acknowledged as new' };
      return { sequence: seq };
    } catch (error) {
      return { failure: 'unknown', detail: messageOf(error) };
    }
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    const subscription = await openSubscription(this.link, this.clock, {
      ...options,
      onSubscriptionEnd: (reason, detail) => {
        this.subscriptions.delete(subscription);
        options.onSubscriptionEnd(reason, detail);
      },
    });
    const tracked: Subscription = {
      close: async () => {
        this.subscriptions.delete(subscription);
        await subscription.close();
      },
    };
    this.subscriptions.add(subscription);
    if (!this.closed) return tracked;
    await tracked.close();
    throw new Fault('stream_unavailable', 'the stream was closed');
  }

  async endSubscriptions(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.subscriptions].map((subscription) => subscription.close()));
  }

  private async get(query: object): Promise<StreamMessage | undefined> {
    const answer = await this.link.api(`STREAM.MSG.GET.${STREAM_NAME}`, query);
    if (answer.error?.err_code === errorCodes.messageNotFound) return undefined;
    if (answer.error !== undefined) throw faultOfApiError(answer.error, 'get');
    const { subject, seq, data, hdrs } = answer.message as {
      subject: string;
      seq: number;
      data?: string;
      hdrs?: string;
    };
    return {
      sequence: seq,
      origin: originOf(subject),
      bytes: Buffer.from(data ?? '', 'base64'),
      mac: macIn(Buffer.from(hdrs ?? '', 'base64').toString('latin1')),
    };
  }
}

const macLine = new RegExp(`^${MAC_HEADER}: *(\\S+)`, 'im');

/** Of the headers of a stored message, as the server returns them. */
function macIn(headers: string): string | undefined {
  return macLine.exec(headers)?.[1];
}
