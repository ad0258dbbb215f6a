/**
 * The digest at the positions that this region passes, recorded while it is requested (`POST /cluster/verify`).
 *
 * While writes continue, two regions that are asked one after another are not at the same position; but they pass the same
 * positions, since batches are the same everywhere. So from the first request on, the digest is updated with every batch and
 * recorded with its position, and the comparison uses a position that all regions have recorded.
 *
 *     idle ──watched──► counting, in slices ──► recording, with every batch ──no request for 15 s──► idle
 *
 * Each described value adds its own hash to one sum, so a batch costs the values it touched: their former hashes are subtracted,
 * the present ones added. Counting yields after each slice; values that a batch touches meanwhile are counted with the batch, and
 * skipped later. While idle it costs nothing.
 *
 * What a crash leaves: nothing; a restarted region counts again at the next request.
 */
import type { Clock, Timer } from '../../../shared/kernel/kernel.ts';
import { DIGEST_KEPT_MS } from '../../../shared/protocol/deadlines.ts';
import { DIGESTS_LIMIT_TEXT, type DigestsReply } from '../../../shared/protocol/internal.ts';
import { GrowingPosition, type Position } from '../../../shared/protocol/position.ts';
import type { Batch } from '../batch/batch.ts';
import type { CatalogWriter } from './catalog/catalog.ts';
import { createValueHash, type DigestPart, digestHex, type ValueHash } from './digest.ts';
import type { Ledger } from './ledger/ledger.ts';

/**
 * Number of positions kept, each as the difference that its batch made, so that many origins take no more memory. The oldest are
 * removed first.
 */
const KEPT_LIMIT = 4_096;
/** Duration of a slice of counting, and of the pause after it. */
const SLICE_MS = 5;
const PAUSE_MS = 5;
/** Values between two checks of the clock. */
const LOOK_EVERY = 32;

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
  /** Called after each applied batch. */
  applied(batch: Batch): void;
  stop(): void;
}

export interface KeptDigestOptions {
  readonly clock: Clock;
  readonly catalog: Pick<CatalogWriter, 'described' | 'describeEntity'>;
  readonly ledger: Pick<Ledger, 'described' | 'describePair'>;
  readonly position: () => Position;
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

  applied(batch: Batch): void {
    this.session?.applied(batch);
  }

  stop(): void {
    this.expiry?.cancel();
    this.session?.end();
    this.session = undefined;
  }
}

class Session {
  counted = false;
  private readonly options: KeptDigestOptions;
  private readonly hash: ValueHash = createValueHash();
  private readonly registers = new Map<number, bigint>();
  private readonly pairs = new Map<string, Map<number, bigint>>();
  private readonly left: Iterator<void>;
  private sum = 0n;
  private kept: Note[] = [];
  private timer: Timer | undefined;

  constructor(options: KeptDigestOptions) {
    this.options = options;
    this.left = this.countAll();
    this.slice();
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

  applied({ events, origin, first }: Batch): void {
    const touched = new Set<number>();
    const signalled = new Map<string, Set<number>>();
    for (const event of events) {
      if (event.kind !== 'signal') touched.add(event.entity);
      else getOrAdd(signalled, event.signal, () => new Set<number>()).add(event.entity);
    }
    for (const entity of touched) this.countRegisters(entity);
    for (const [signal, entities] of signalled) for (const entity of entities) this.countPair(entity, signal);
    if (this.counted) this.note(origin, first - 1);
  }

  private slice(): void {
    const { clock } = this.options;
    const endMs = clock.monotonicMs() + SLICE_MS;
    do {
      for (let count = 0; count < LOOK_EVERY; count++) {
        if (this.left.next().done !== true) continue;
        this.counted = true;
        this.note('', 0);
        return;
      }
    } while (clock.monotonicMs() < endMs);
    this.timer = clock.after(PAUSE_MS, () => this.slice());
  }

  private *countAll(): Generator<void> {
    const { catalog, ledger } = this.options;
    for (const entity of catalog.described()) {
      if (!this.registers.has(entity)) this.countRegisters(entity);
      yield;
    }
    for (const { entity, signal } of ledger.described()) {
      if (this.pairs.get(signal)?.has(entity) !== true) this.countPair(entity, signal);
      yield;
    }
  }

  private countRegisters(entity: number): void {
    this.replace(this.registers, entity, (sink) => this.options.catalog.describeEntity(entity, sink));
  }

  private countPair(entity: number, signal: string): void {
    const contributions = getOrAdd(this.pairs, signal, () => new Map<number, bigint>());
    this.replace(contributions, entity, (sink) => this.options.ledger.describePair(entity, signal, sink));
  }

  private replace(
    contributions: Map<number, bigint>,
    entity: number,
    describe: (sink: (entity: number, parts: readonly DigestPart[]) => void) => void,
  ): void {
    let present = 0n;
    describe((described, parts) => {
      present += this.hash.of(described, parts);
    });
    this.sum += present - (contributions.get(entity) ?? 0n);
    contributions.set(entity, present);
  }

  private note(origin: string, before: number): void {
    if (this.kept.length >= 2 * KEPT_LIMIT) this.kept = this.kept.slice(-KEPT_LIMIT);
    this.kept.push({ origin, before, digest: digestHex(this.sum) });
  }
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const created = create();
  map.set(key, created);
  return created;
}
