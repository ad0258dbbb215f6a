/**
 * The digest at the positions that this region passes, recorded while it is requested (`POST /cluster/verify`).
 *
 * While writes continue, two regions that are asked one after another are not at the same position; but they pass the same
 * positions, since batches are the same everywhere. So from the first request on, the digest is updated with every batch and
 * recorded with its position, and the comparison uses a position that all regions have recorded.
 *
 *     idle ──watched──► counting, in slices ──► recording, with every batch ──no request for 15 s──► idle
 *
 * Counting walks through all entries once. Entries before the walk are in the sum: if a batch changes one, it is subtracted as it
 * was, and added as it is afterwards. Entries ahead are added when the walk reaches them. So nothing is remembered of an entry,
 * and while idle it costs nothing.
 *
 * What a crash leaves: nothing; a restarted region counts again at the next request.
 */
import type { Clock, Timer } from '../../../../shared/kernel/kernel.ts';
import type { Turns } from '../../../../shared/kernel/turns.ts';
import { DIGEST_KEPT_MS } from '../../../../shared/protocol/deadlines.ts';
import { DIGESTS_LIMIT_TEXT, type DigestsReply } from '../../../../shared/protocol/internal.ts';
import { GrowingPosition, type Position } from '../../../../shared/protocol/position.ts';
import type { Batch } from '../../batch/batch.ts';
import type { Digested, DigestedPart } from './digest.ts';
import { DigestSum } from './value-hash.ts';

/**
 * Number of positions kept, each as the difference that its batch made, so that many origins take no more memory. The oldest are
 * removed first.
 */
const KEPT_LIMIT = 4_096;
/** Pause after a slice. */
const PAUSE_MS = 1;
/** Limits of one slice: some milliseconds. They limit the work, so no clock decides how long a turn is. */
export const SLICE_ENTRIES = 6_000;
const SLICE_UNITS = 262_144;

/** The digest after a batch, and the former sequence of its origin. */
interface Note {
  readonly origin: string;
  readonly before: number;
  /** 32 hexadecimal digits. */
  readonly digest: string;
}

type Watched = Pick<DigestsReply, 'counting' | 'kept' | 'former'>;

export interface KeptDigest {
  /** Starts or continues recording. Returns at most `limit` positions, the newest first; none while it is counting. */
  watch(limit: number): Watched;
  /** Called before each batch: until {@link applied} nothing but the batch changes the state. */
  applying(batch: Batch): void;
  /** Called after each applied batch. */
  applied(batch: Batch): void;
  stop(): void;
}

export interface KeptDigestOptions {
  /** Absent: turns are not watched. */
  readonly turns?: Turns | undefined;
  readonly clock: Clock;
  readonly catalog: Digested;
  readonly ledger: Digested;
  readonly position: () => Position;
  /** Entries that are counted in one turn. Absent: {@link SLICE_ENTRIES}. */
  readonly sliceEntries?: number;
}

export function createKeptDigest(options: KeptDigestOptions): KeptDigest {
  return new WatchedDigest(options);
}

class WatchedDigest implements KeptDigest {
  private readonly options: KeptDigestOptions;
  private session: Session | undefined;
  private expiry: Timer | undefined;

  constructor(options: KeptDigestOptions) {
    this.options = options;
  }

  watch(limit: number): Watched {
    this.expiry?.cancel();
    this.expiry = this.options.clock.after(DIGEST_KEPT_MS, () => this.stop());
    this.session ??= new Session(this.options);
    return { counting: !this.session.counted, ...this.session.newest(limit) };
  }

  applying(batch: Batch): void {
    if (this.session === undefined) return;
    this.options.turns?.mark('digest');
    this.session.applying(batch);
  }

  applied(batch: Batch): void {
    if (this.session === undefined) return;
    this.options.turns?.mark('digest');
    this.session.applied(batch);
  }

  stop(): void {
    this.expiry?.cancel();
    this.session?.end();
    this.session = undefined;
  }
}

/** A part of the state, and the entities whose entries the present batch changes. */
interface Walked {
  readonly part: DigestedPart;
  readonly touched: Set<number>;
}

class Session {
  private readonly options: KeptDigestOptions;
  private readonly sum = new DigestSum();
  private readonly registers: Walked;
  private readonly bySignal: ReadonlyMap<string, Walked>;
  /** In the order of the walk. */
  private readonly parts: readonly Walked[];
  /** The walk's next entry. In the sum are all entries of the parts before `at`, and those of that part below `next`. */
  private at = 0;
  private next = 0;
  private kept: Note[] = [];
  private timer: Timer | undefined;

  constructor(options: KeptDigestOptions) {
    this.options = options;
    const { catalog, ledger } = options;
    this.parts = [...catalog.digested, ...ledger.digested].map((part) => ({ part, touched: new Set() }));
    this.registers = this.parts.find(({ part }) => part.signal === undefined)!;
    this.bySignal = new Map(this.parts.map((walked) => [walked.part.signal ?? '', walked]));
    this.slice();
  }

  get counted(): boolean {
    return this.at === this.parts.length;
  }

  newest(limit: number): Pick<DigestsReply, 'kept' | 'former'> {
    const kept: DigestsReply['kept'][number][] = [];
    const former: NonNullable<DigestsReply['former']>[number][] = [];
    const position = new GrowingPosition(this.options.position());
    let characters = 0;
    let after: Note | undefined;
    for (const note of this.kept.slice(-limit).reverse()) {
      if (after !== undefined) position.set(after.origin, after.before);
      const text = former.length === 0 ? position.text : '';
      characters += text.length;
      if (after === undefined || (former.length === 0 && characters <= DIGESTS_LIMIT_TEXT)) {
        kept.push({ position: text, digest: note.digest });
      } else former.push({ origin: after.origin, sequence: after.before, digest: note.digest });
      after = note;
    }
    return former.length === 0 ? { kept } : { kept, former };
  }

  end(): void {
    this.timer?.cancel();
  }

  applying(batch: Batch): void {
    const { signals } = batch;
    if (signals !== undefined) {
      const parts = signals.names.map((name) => this.bySignal.get(name)!);
      for (let index = 0; index < signals.count; index++) {
        parts[signals.kinds[index]!]!.touched.add(signals.entities[index]!);
      }
    } else {
      for (const event of batch.events) {
        const walked = event.kind === 'signal' ? this.bySignal.get(event.signal)! : this.registers;
        walked.touched.add(event.entity);
      }
    }
    this.sum.takes = true;
    this.describeTouched();
    this.sum.takes = false;
  }

  applied({ origin, first }: Batch): void {
    this.describeTouched();
    for (const { touched } of this.parts) touched.clear();
    if (this.counted) this.note(origin, first - 1);
  }

  /** Adds or subtracts the entries that the batch changes, if they are in the sum. */
  private describeTouched(): void {
    for (const [index, { part, touched }] of this.parts.entries()) {
      if (index > this.at) return;
      const end = index < this.at ? part.entries : this.next;
      for (const entity of touched) {
        const entry = part.find(entity);
        if (entry >= 0 && entry < end) part.describe(entry, this.sum);
      }
    }
  }

  private slice(): void {
    this.options.turns?.mark('digest');
    const endUnits = this.sum.hashed + SLICE_UNITS;
    for (let left = this.options.sliceEntries ?? SLICE_ENTRIES; left > 0 && this.sum.hashed < endUnits; left--) {
      while (!this.counted && this.next === this.parts[this.at]!.part.entries) {
        this.at++;
        this.next = 0;
      }
      if (this.counted) {
        this.note('', 0);
        return;
      }
      this.parts[this.at]!.part.describe(this.next++, this.sum);
    }
    this.timer = this.options.clock.after(PAUSE_MS, () => this.slice());
  }

  private note(origin: string, before: number): void {
    if (this.kept.length >= 2 * KEPT_LIMIT) this.kept = this.kept.slice(-KEPT_LIMIT);
    this.kept.push({ origin, before, digest: this.sum.hex() });
  }
}
