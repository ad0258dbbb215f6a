/**
 * A control key in JetStream: a KV bucket by its stream, with plain requests. The library's KV view would re-create a
 * lost bucket behind the caller's back, and tells a missing bucket from a missing server by luck.
 *
 * A revision is a sequence of the bucket's stream, and a bucket made anew after a loss counts from 1 again. So a revision
 * counts only together with the bucket it was read from: an update first looks whether that bucket is still the one.
 * What is left is a bucket lost and made anew between that look and the update behind it.
 */
import { Fault, messageOf } from '../errors/errors.ts';
import { type ApiError, errorCodes } from './jetstream-errors.ts';
import type { Answer, Link } from './jetstream-link.ts';
import { bucketConfiguration, CONTROL_BUCKET } from './settings.ts';
import type { Control, ControlEntry } from './stream.ts';

const bucketStream = `KV_${CONTROL_BUCKET}`;

interface StoredMessage {
  readonly seq: number;
  readonly data?: string;
  readonly hdrs?: string;
}

export class JetStreamControl implements Control {
  private readonly link: Link;
  private readonly subject: string;
  /** `created` of the bucket this process last read or wrote: its revisions are the only ones that count. */
  private bucket: string | undefined;

  constructor(link: Link, key: string) {
    this.link = link;
    this.subject = `$KV.${CONTROL_BUCKET}.${key}`;
  }

  async read(): Promise<ControlEntry | 'missing'> {
    const created = await this.bucketCreated();
    if (created === undefined) return 'missing';
    const stored = await this.last();
    this.bucket = created;
    if (stored === undefined || isDeletion(stored)) return 'missing';
    return { revision: stored.seq, value: parse(stored) };
  }

  async create(value: unknown): Promise<{ readonly revision: number } | 'conflict'> {
    const answer = await this.api(`STREAM.CREATE.${bucketStream}`, bucketConfiguration);
    // Another configuration than ours, made by another release or by hand: the bucket is there, and that is enough.
    if (answer.error !== undefined && answer.error.err_code !== errorCodes.streamConfigDiffers)
      throw fault(answer.error);
    const created = await this.bucketCreated();
    if (created === undefined) throw new Fault('control_unavailable', 'the bucket vanished while it was created');
    this.bucket = created;
    const stored = await this.last();
    if (stored !== undefined && !isDeletion(stored)) return 'conflict';
    return this.put(value, stored?.seq ?? 0);
  }

  async update(value: unknown, revision: number): Promise<{ readonly revision: number } | 'conflict'> {
    const created = await this.bucketCreated();
    if (created === undefined || created !== this.bucket) return 'conflict';
    return this.put(value, revision);
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

  private async put(value: unknown, expectedLast: number): Promise<{ readonly revision: number } | 'conflict'> {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const answer = await silenceIsUnavailable(this.link.publish(this.subject, bytes, expectedLast));
    if (answer.error?.err_code === errorCodes.wrongLastSequence) return 'conflict';
    if (answer.error !== undefined) throw fault(answer.error);
    if (typeof answer.seq !== 'number' || answer.duplicate === true) {
      throw new Fault('control_unavailable', `not an acknowledgement: ${JSON.stringify(answer)}`);
    }
    return { revision: answer.seq };
  }

  private api(what: string, body?: unknown): Promise<Answer> {
    return silenceIsUnavailable(this.link.api(what, body));
  }
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

/** Undefined for what is not JSON: the caller sees a value that is no record, under a revision it can replace. */
function parse(stored: StoredMessage): unknown {
  try {
    return JSON.parse(Buffer.from(stored.data ?? '', 'base64').toString('utf8'));
  } catch {
    return undefined;
  }
}
