/**
 * A control key in JetStream: a KV bucket by its stream, with plain requests. The library's KV view would re-create a lost bucket
 * without the caller's knowledge, and does not reliably distinguish a missing bucket from a missing server.
 *
 * The server only compares sequences, and those are reused by a bucket that was recreated (another `created`) or restored from an
 * older copy (the same `created`, other writes at the same sequences). So a revision is the bucket's `created`, the sequence and
 * a digest of the value, and an update checks all three just before it writes, on the same connection: restoring a bucket takes
 * another server process, which ends that connection. The remaining case is a bucket that is deleted and recreated on the running
 * server within the milliseconds in between.
 */
import { createHash } from 'node:crypto';
import type { InternalKeys } from '../credentials/internal-keys.ts';
import { Fault, messageOf } from '../errors/errors.ts';
import { type ApiError, errorCodes } from './jetstream-errors.ts';
import type { Answer, Link } from './jetstream-link.ts';
import { bucketConfiguration, CONTROL_BUCKET, MAC_HEADER, type StreamSettings } from './settings.ts';
import { type Control, type ControlEntry, type Revision, Unproven } from './stream.ts';

/** The part of a connection that a key uses. */
export type ControlLink = Pick<Link, 'api' | 'publish' | 'connections'>;

const bucketStream = `KV_${CONTROL_BUCKET}`;

interface StoredMessage {
  readonly seq: number;
  readonly data?: string;
  readonly hdrs?: string;
}

const DIGEST_CHARACTERS = 16;
const macPattern = new RegExp(`^${MAC_HEADER}: *(\\S+)`, 'im');

function revisionOf(created: string, sequence: number, bytes: Uint8Array): Revision {
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, DIGEST_CHARACTERS);
  return `${created}/${sequence}/${digest}` as Revision;
}

export interface KeySettings extends Pick<StreamSettings, 'replicas'> {
  /**
   * With it each value carries a MAC, in the header in which a batch has its own, so that another client of the server cannot make
   * one. It can write an earlier value of the same key again: its epoch or nonce says so.
   */
  readonly internalKeys?: InternalKeys | undefined;
}

export class JetStreamControl implements Control {
  private readonly link: ControlLink;
  private readonly key: string;
  private readonly subject: string;
  private readonly settings: KeySettings;

  constructor(link: ControlLink, key: string, settings: KeySettings = {}) {
    this.link = link;
    this.key = key;
    this.settings = settings;
    this.subject = `$KV.${CONTROL_BUCKET}.${key}`;
  }

  async read(): Promise<ControlEntry | 'missing'> {
    const found = await this.look();
    if (found?.stored === undefined || isDeletion(found.stored)) return 'missing';
    const { stored, created } = found;
    const [value, mac] = [parse(stored), macIn(stored)];
    const flaw = this.settings.internalKeys?.controlMacFlaw(this.key, bytesIn(stored), mac);
    return {
      revision: revisionIn(created, stored),
      value: flaw === undefined ? value : new Unproven(flaw, value),
      ...(flaw === undefined && this.settings.internalKeys?.isPresent(mac) === false ? { renew: true } : {}),
    };
  }

  async create(value: unknown): Promise<{ readonly revision: Revision } | 'conflict'> {
    const answer = await this.api(`STREAM.CREATE.${bucketStream}`, bucketConfiguration(this.settings));
    // Another configuration than ours: the bucket exists, and the regions correct its settings.
    if (answer.error !== undefined && answer.error.err_code !== errorCodes.streamConfigDiffers)
      throw fault(answer.error);
    const found = await this.look();
    if (found === undefined) throw new Fault('control_unavailable', 'the bucket vanished while it was created');
    if (found.stored !== undefined && !isDeletion(found.stored)) return 'conflict';
    return this.put(value, found);
  }

  async update(value: unknown, revision: Revision): Promise<{ readonly revision: Revision } | 'conflict'> {
    const found = await this.look();
    if (found?.stored === undefined || revisionIn(found.created, found.stored) !== revision) return 'conflict';
    return this.put(value, found);
  }

  /** The bucket and the key's newest message, over one connection; undefined if the server answers that there is no bucket. */
  private async look(): Promise<Found | undefined> {
    const { connections } = this.link;
    // If the bucket is recreated between the two answers, the revision names no write: a later conflict, without harm.
    const [created, stored] = await Promise.all([this.bucketCreated(), this.last()]);
    return created === undefined ? undefined : { created, stored, connections };
  }

  /** Undefined when the server says that there is no bucket. */
  private async bucketCreated(): Promise<string | undefined> {
    const answer = await this.api(`STREAM.INFO.${bucketStream}`);
    if (answer.error?.err_code === errorCodes.streamNotFound) return undefined;
    if (answer.error !== undefined) throw fault(answer.error);
    return String(answer.created);
  }

  private async last(): Promise<StoredMessage | undefined> {
    const answer = await this.api(`STREAM.MSG.GET.${bucketStream}`, { last_by_subj: this.subject });
    const code = answer.error?.err_code;
    if (code === errorCodes.messageNotFound || code === errorCodes.streamNotFound) return undefined;
    if (answer.error !== undefined) throw fault(answer.error);
    return answer.message as StoredMessage;
  }

  private async put(
    value: unknown,
    { created, stored, connections }: Found,
  ): Promise<{ readonly revision: Revision } | 'conflict'> {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const mac = this.settings.internalKeys?.controlMacOf(this.key, bytes);
    const expectedLast = stored?.seq ?? 0;
    if (this.link.connections !== connections) {
      throw new Fault('control_unavailable', 'the connection was lost between the look at the key and the write');
    }
    const answer = await silenceIsUnavailable(this.link.publish(this.subject, bytes, expectedLast, mac));
    if (answer.error?.err_code === errorCodes.wrongLastSequence) return 'conflict';
    if (answer.error !== undefined) throw fault(answer.error);
    if (typeof answer.seq !== 'number' || answer.duplicate === true) {
      throw new Fault('control_unavailable', `not an acknowledgement: ${JSON.stringify(answer)}`);
    }
    return { revision: revisionOf(created, answer.seq, bytes) };
  }

  private api(what: string, body?: unknown): Promise<Answer> {
    return silenceIsUnavailable(this.link.api(what, body));
  }
}

/** The result of a read of the key, and its connection. */
interface Found {
  readonly created: string;
  readonly stored: StoredMessage | undefined;
  readonly connections: number;
}

function bytesIn({ data = '' }: StoredMessage): Buffer {
  return Buffer.from(data, 'base64');
}

function revisionIn(created: string, stored: StoredMessage): Revision {
  return revisionOf(created, stored.seq, bytesIn(stored));
}

function macIn(stored: StoredMessage): string | undefined {
  return macPattern.exec(headersIn(stored))?.[1];
}

function headersIn({ hdrs = '' }: StoredMessage): string {
  return Buffer.from(hdrs, 'base64').toString('latin1');
}

async function silenceIsUnavailable(request: Promise<Answer>): Promise<Answer> {
  try {
    return await request;
  } catch (error) {
    throw new Fault('control_unavailable', messageOf(error), { cause: error });
  }
}

function fault(error: ApiError): Fault {
  return new Fault('control_unavailable', `${error.description ?? 'no description'} (${error.err_code ?? 'no code'})`);
}

/** KV clients write a marker over a key they delete. */
function isDeletion(stored: StoredMessage): boolean {
  return /^KV-Operation: *(DEL|PURGE)/im.test(headersIn(stored));
}

/** Undefined if it is not JSON: the caller gets an invalid value, with a revision that it can replace. */
function parse(stored: StoredMessage): unknown {
  try {
    return JSON.parse(bytesIn(stored).toString('utf8'));
  } catch {
    return undefined;
  }
}
