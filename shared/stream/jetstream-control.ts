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
import { Fault, messageOf } from '../errors/errors.ts';
import { type ApiError, errorCodes } from './jetstream-errors.ts';
import type { Answer, Link } from './jetstream-link.ts';
import { bucketConfiguration, CONTROL_BUCKET, type StreamSettings } from './settings.ts';
import type { Control, ControlEntry, Revision } from './stream.ts';

/** The part of a connection that a key uses. */
export type ControlLink = Pick<Link, 'api' | 'publish' | 'connections'>;

const bucketStream = `KV_${CONTROL_BUCKET}`;

interface StoredMessage {
  readonly seq: number;
  readonly data?: string;
  readonly hdrs?: string;
}

const DIGEST_CHARACTERS = 16;

function revisionOf(created: string, sequence: number, bytes: Uint8Array): Revision {
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, DIGEST_CHARACTERS);
  return `${created}/${sequence}/${digest}` as Revision;
}

export class JetStreamControl implements Control {
  private readonly link: ControlLink;
  private readonly subject: string;
  private readonly settings: Pick<StreamSettings, 'replicas'>;

  constructor(link: ControlLink, key: string, settings: Pick<StreamSettings, 'replicas'> = {}) {
    this.link = link;
    this.settings = settings;
    this.subject = `$KV.${CONTROL_BUCKET}.${key}`;
  }

  async read(): Promise<ControlEntry | 'missing'> {
    const found = await this.look();
    if (found?.stored === undefined || isDeletion(found.stored)) return 'missing';
    return { revision: revisionIn(found.created, found.stored), value: parse(found.stored) };
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
    const expectedLast = stored?.seq ?? 0;
    if (this.link.connections !== connections) {
      throw new Fault('control_unavailable', 'the connection was lost between the look at the key and the write');
    }
    const answer = await silenceIsUnavailable(this.link.publish(this.subject, bytes, expectedLast));
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

function revisionIn(created: string, { seq, data }: StoredMessage): Revision {
  return revisionOf(created, seq, Buffer.from(data ?? '', 'base64'));
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
  if (stored.hdrs === undefined) return false;
  return /^KV-Operation: *(DEL|PURGE)/im.test(Buffer.from(stored.hdrs, 'base64').toString('latin1'));
}

/** Undefined if it is not JSON: the caller gets an invalid value, with a revision that it can replace. */
function parse(stored: StoredMessage): unknown {
  try {
    return JSON.parse(Buffer.from(stored.data ?? '', 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
}
