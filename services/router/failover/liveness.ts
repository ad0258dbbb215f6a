/** How long the leader has shown no liveness: no answer to this router, and no change of its heartbeat. */
import { Fault } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import { type Alive, aliveKey, type Leadership, parseAlive } from '../../../shared/leadership/leadership.ts';
import type { RefusedValues } from '../../../shared/leadership/refused-values.ts';
import type { Control, ControlEntry, ControlKeys, Revision } from '../../../shared/stream/stream.ts';
import type { RegionsView } from '../cluster/cluster.ts';

export interface LivenessOptions {
  readonly keys: ControlKeys;
  readonly regions: RegionsView;
  /** Of the topology. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly refusals: RefusedValues;
}

/** The state of the observed leader. */
interface Watched {
  readonly leader: string;
  readonly epoch: number;
  /** Revision of its heartbeat key; undefined if it has none. */
  readonly revision: Revision | undefined;
  /** The last sign of liveness, monotonic ms. */
  readonly signMs: number;
  /** Polls without one since then: a paused process has not observed. */
  readonly looks: number;
}

/** A single poll does not suffice, however long this process was paused before it. */
const LOOKS_AT_LEAST = 2;

export class Liveness {
  private readonly options: LivenessOptions;
  private readonly alive: ReadonlyMap<string, Control>;
  private watched: Watched | undefined;

  constructor(options: LivenessOptions) {
    this.options = options;
    this.alive = new Map(options.names.map((name) => [name, options.keys(aliveKey(name))]));
  }

  /** Result of the last poll; 0 if unknown. */
  get ms(): number {
    if (this.watched === undefined || this.watched.looks < LOOKS_AT_LEAST) return 0;
    return this.options.clock.monotonicMs() - this.watched.signMs;
  }

  /** Polls the liveness of this record's leader; `ms` is then how long there was none. */
  async poll({ leader, epoch }: Leadership): Promise<void> {
    const { regions, clock } = this.options;
    const [answer, entry] = await Promise.all([regions.ask(leader), this.keyOf(leader)]);
    const before = this.watched?.leader === leader && this.watched.epoch === epoch ? this.watched : undefined;
    if (entry === 'unknown') {
      this.watched = undefined;
      return;
    }
    const alive = entry === 'missing' ? undefined : this.aliveIn(leader, entry.value);
    // An invalid heartbeat does not count, however often it is rewritten.
    const revision = entry === 'missing' ? undefined : alive === undefined ? before?.revision : entry.revision;
    const partitioned = this.saysItIsPartitioned(leader, alive);
    const sign = before === undefined || answer !== undefined || partitioned || revision !== before.revision;
    this.watched = sign
      ? { leader, epoch, revision, signMs: clock.monotonicMs(), looks: 0 }
      : { ...before, looks: before.looks + 1 };
  }

  private aliveIn(region: string, value: unknown): Alive | undefined {
    const { refusals } = this.options;
    const alive = parseAlive(value, region);
    const source = `the key ${aliveKey(region)}`;
    if (alive === undefined) refusals.refuse(source, value, `it is no heartbeat of ${region}`);
    else refusals.accept(source);
    return alive;
  }

  /** Its latest statement, by its own clock, to this router or in its key. */
  private saysItIsPartitioned(leader: string, alive: Alive | undefined): boolean {
    const status = this.options.regions.known(leader)?.status;
    if (status === undefined || (alive !== undefined && alive.clockMs > status.clockMs))
      return alive?.partitioned === true;
    return status.partitioned;
  }

  forget(): void {
    this.watched = undefined;
  }

  /** `unknown`: the bucket does not answer, or has no heartbeats, so that a missing one is not significant. */
  private async keyOf(region: string): Promise<ControlEntry | 'missing' | 'unknown'> {
    try {
      const entry = await this.alive.get(region)?.read();
      if (entry !== undefined && entry !== 'missing') return entry;
      const others = [...this.alive].filter(([name]) => name !== region).map(([, key]) => key.read());
      return (await Promise.all(others)).some((other) => other !== 'missing') ? 'missing' : 'unknown';
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return 'unknown';
    }
  }
}
