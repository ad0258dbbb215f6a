/**
 * Reads the signals that retractions take back from the leader's log. A body hash of 8 bytes does not prove that a retraction has the
 * values of the signal: two bodies with one hash can be searched for, and what counts would be reduced by what was never added.
 *
 * One read after another, a bounded number of events in a turn of the event loop, so other writes are accepted meanwhile. The last
 * batch is remembered while reads wait: a bulk that is taken back is read once.
 */
import { Refusal } from '../../../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../../../shared/kernel/kernel.ts';
import type { Event, EventBody } from '../../../../shared/protocol/events.ts';
import { EventCursor } from '../../batch/event-cursor/event-cursor.ts';
import { Queue } from '../../queue/queue.ts';
import type { Wal } from '../../wal/wal.ts';
import { conflict, logDamaged, logTrimmed, shuttingDown } from '../refusals/refusals.ts';

/** Events read or passed over in one turn: half a millisecond. */
export const EVENTS_A_TURN = 500;

export interface SignalPlace {
  readonly origin: string;
  readonly sequence: number;
}

export type Retraction = EventBody & { readonly kind: 'retraction' };
/** `undefined`: the event there is something else. */
export type Read = (Event & { readonly kind: 'signal' | 'retraction' }) | undefined | Refusal;

export interface SignalReaderOptions {
  readonly clock: Clock;
  readonly wal: Pick<Wal, 'origin' | 'read'>;
  readonly region: string;
}

export class SignalReader {
  private readonly options: SignalReaderOptions;
  private readonly queue = new Queue();
  private waiting = 0;
  private cursor: EventCursor | undefined;
  private left = EVENTS_A_TURN;
  private stopped = false;

  constructor(options: SignalReaderOptions) {
    this.options = options;
  }

  /** Every read that waits is refused: the log is about to be closed. */
  stop(): void {
    this.stopped = true;
  }

  /** The signals and retractions at these places of the log, or why one is not known. */
  async read(places: readonly SignalPlace[]): Promise<Read[]> {
    this.waiting++;
    try {
      return await this.queue.add(() => this.readAll(places));
    } finally {
      this.waiting--;
      if (this.waiting === 0) this.cursor = undefined;
    }
  }

  /** Why one of these, whose `of` is known, is not accepted: it is not the signal there, or that is not known. */
  async refusalOf(retractions: readonly Retraction[]): Promise<Refusal | undefined> {
    const events = await this.read(retractions.map(({ of }) => of!));
    for (const [index, event] of events.entries()) {
      if (event instanceof Refusal) return event;
      if (!takesBack(retractions[index]!, event)) return conflict();
    }
    return undefined;
  }

  private async readAll(places: readonly SignalPlace[]): Promise<Read[]> {
    const read: Read[] = [];
    for (const place of places) {
      if (this.left <= 0) await this.turn();
      read.push(await this.readOne(place));
    }
    return read;
  }

  private async readOne({ origin, sequence }: SignalPlace): Promise<Read> {
    try {
      if (this.cursor?.has(origin, sequence) !== true) {
        await this.turn();
        const opened = this.open(origin, sequence);
        if (opened instanceof Refusal) return opened;
        this.cursor = opened;
      }
      for (;;) {
        this.left -= 1 + this.cursor.advance(sequence, EVENTS_A_TURN);
        const event = this.cursor.event(sequence);
        if (event !== undefined) return event.kind === 'signal' || event.kind === 'retraction' ? event : undefined;
        await this.turn();
      }
    } catch (error) {
      return logDamaged(error, `${origin}:${sequence}`);
    }
  }

  private open(origin: string, sequence: number): EventCursor | Refusal {
    const { wal, region } = this.options;
    if (this.stopped) return shuttingDown();
    // The beginning is trimmed before it is known to be: then nothing is read.
    const isTrimmed = sequence < (wal.origin(origin)?.first ?? Number.POSITIVE_INFINITY);
    const [bytes] = isTrimmed ? [] : wal.read(origin, sequence, 1);
    return bytes === undefined ? logTrimmed(region, `${origin}:${sequence}`) : new EventCursor(bytes);
  }

  private async turn(): Promise<void> {
    await sleep(this.options.clock, 0);
    this.left = EVENTS_A_TURN;
  }
}

function takesBack({ entity, signal, weight, key }: Retraction, event: Read): boolean {
  return (
    event !== undefined &&
    !(event instanceof Refusal) &&
    event.kind === 'signal' &&
    event.entity === entity &&
    event.signal === signal &&
    event.weight === weight &&
    event.key?.id === key?.id &&
    event.key?.bodyHash === key?.bodyHash
  );
}
