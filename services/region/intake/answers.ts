/** The answers to the writes of a request, once it is known what became of them. */
import { Refusal } from '../../../shared/errors/errors.ts';
import { STREAM_DURABILITY_WAIT_MS } from '../../../shared/protocol/deadlines.ts';
import type { WriteBody } from '../../../shared/protocol/events.ts';
import type { Durability, WriteAccepted, WriteRefused } from '../../../shared/protocol/internal.ts';
import { formatPosition, regionOf } from '../../../shared/protocol/position.ts';
import type { Ship } from '../ship/ship.ts';
import type { Placed } from './admitted.ts';
import type { IntakeMetrics } from './intake-metrics.ts';
import { unconfirmed } from './refusals/refusals.ts';

/** How long an answer waits for the stream before it is `local`. */
const LOCAL_DURABILITY_WAIT_MS = 250;

export interface AnswersOptions {
  readonly region: string;
  readonly ship: Ship;
  readonly metrics: Pick<IntakeMetrics, 'acknowledged'>;
}

export class Answers {
  private readonly options: AnswersOptions;

  constructor(options: AnswersOptions) {
    this.options = options;
  }

  /** Waits for the stream once for the whole request, at its last positions; then every write gets its own answer. */
  async finish(
    outcomes: readonly (Refusal | Placed)[],
    required: Durability,
    bodies: readonly (Pick<WriteBody, 'key'> | Refusal)[],
  ): Promise<(WriteAccepted | WriteRefused)[]> {
    const { ship, metrics } = this.options;
    const furthest = new Map<string, number>();
    for (const outcome of outcomes) {
      if (outcome instanceof Refusal) continue;
      for (const [origin, sequence] of outcome.position) {
        furthest.set(origin, Math.max(sequence, furthest.get(origin) ?? 0));
      }
    }
    const limitMs = required === 'stream' ? STREAM_DURABILITY_WAIT_MS : LOCAL_DURABILITY_WAIT_MS;
    const outstanding = [...furthest].filter(([origin, sequence]) => !this.inStream(origin, sequence));
    await Promise.all(outstanding.map(([origin, sequence]) => ship.confirmed(origin, sequence, limitMs, required)));
    return outcomes.map((outcome, index) => {
      if (outcome instanceof Refusal) return { problem: outcome.toProblem() };
      const position = formatPosition(outcome.position);
      const confirmed = [...outcome.position].every(([origin, sequence]) => this.inStream(origin, sequence));
      if (required === 'stream' && !confirmed) {
        const body = bodies[index];
        const keyed = body !== undefined && 'key' in body && body.key !== undefined;
        return { problem: unconfirmed(position, keyed).toProblem() };
      }
      const durability = confirmed ? 'stream' : 'local';
      metrics.acknowledged(durability);
      return outcome.replayed === true ? { position, durability, replayed: true } : { position, durability };
    });
  }

  /** Events that another region accepted are on two disks; this region's shipper only knows its own origins. */
  private inStream(origin: string, sequence: number): boolean {
    const { ship, region } = this.options;
    return regionOf(origin) !== region || ship.acknowledged(origin) >= sequence;
  }
}
