/** Taking foreign batches by position. See `receive.ts`. */
import { type Batch, NO_PREDECESSOR } from '../../../shared/protocol/batch.ts';
import type { Schema } from '../../../shared/schema/schema.ts';
import type { Apply } from '../apply/apply.ts';
import type { StreamOffset, Wal } from '../wal/wal.ts';
import type { Gap, Ingest, Stopped, Taken } from './receive.ts';

export interface IngestOptions {
  readonly wal: Wal;
  readonly apply: Apply;
  readonly schema: Schema;
  readonly onStopped: (stopped: Stopped) => void;
}

export function createIngest(options: IngestOptions): Ingest {
  return new PositionIngest(options);
}

class PositionIngest implements Ingest {
  private readonly options: IngestOptions;
  private queue: Promise<void> = Promise.resolve();
  stopped: Stopped | undefined;

  constructor(options: IngestOptions) {
    this.options = options;
  }

  take(batches: readonly Batch[], offset?: StreamOffset): Promise<Taken> {
    const run = this.queue.then(() => this.takeNow(batches, offset));
    this.queue = run.then(
      () => undefined,
      () => undefined,
    );
    return run;
  }

  private async takeNow(batches: readonly Batch[], offset: StreamOffset | undefined): Promise<Taken> {
    const { wal, apply } = this.options;
    if (this.stopped !== undefined) return { events: 0, gaps: [] };
    const next: Batch[] = [];
    const gaps: Gap[] = [];
    const ends = new Map<string, number>();
    for (const batch of batches) {
      const durable = ends.get(batch.origin) ?? wal.durable.get(batch.origin) ?? 0;
      if (batch.last <= durable) continue;
      if (batch.first !== durable + 1) {
        if (batch.first <= durable) return this.stopAt('damaged_log', batch, `overlaps what is here up to ${durable}`);
        gaps.push({ origin: batch.origin, first: batch.first });
        continue;
      }
      const stopped = this.check(batch, next);
      if (stopped !== undefined) return stopped;
      ends.set(batch.origin, batch.last);
      next.push(batch);
    }
    const settled = gaps.length === 0 ? offset : undefined;
    if (next.length > 0) {
      await wal.append({ batches: next, ...(settled === undefined ? {} : { offset: settled }) });
      apply.apply(next);
    } else if (settled !== undefined) {
      wal.noteOffset(settled);
    }
    let events = 0;
    for (const { first, last } of next) events += last - first + 1;
    return { events, gaps };
  }

  /** What stops this region at a batch: nothing may be skipped, so nothing after it is taken either. */
  private check(batch: Batch, before: readonly Batch[]): Taken | undefined {
    const earlier = before.findLast(({ origin }) => origin === batch.origin);
    const here = this.options.wal.origin(batch.origin);
    const chain = earlier === undefined ? (here?.chain ?? NO_PREDECESSOR) : earlier.hash;
    if (Buffer.compare(chain, batch.chain) !== 0)
      return this.stopAt('damaged_log', batch, 'does not chain to its predecessor here');
    const epoch = earlier?.epoch ?? here?.epoch ?? batch.epoch;
    if (epoch !== batch.epoch)
      return this.stopAt('damaged_log', batch, `is of epoch ${batch.epoch}, its origin of epoch ${epoch}`);
    const missing = this.missingFromSchema(batch);
    return missing === undefined ? undefined : this.stopAt('schema_behind', batch, missing);
  }

  private missingFromSchema(batch: Batch): string | undefined {
    const { schema } = this.options;
    const unknown = (signal: string): string =>
      `uses the signal ${JSON.stringify(signal)}, which this region's schema does not declare`;
    if (batch.signals !== undefined) {
      // A batch names the signals it uses, and no others.
      const name = batch.signals.names.find((signal) => !schema.signals.has(signal));
      return name === undefined ? undefined : unknown(name);
    }
    for (const event of batch.events) {
      if (event.kind === 'signal' && !schema.signals.has(event.signal)) return unknown(event.signal);
      if (event.kind === 'embedding' && event.values.length !== schema.embedding.dimensions) {
        return `has an embedding of ${event.values.length} dimensions; this region's schema says ${schema.embedding.dimensions}`;
      }
    }
    return undefined;
  }

  private stopAt(code: Stopped['code'], batch: Batch, why: string): Taken {
    this.stop({ code, detail: `the batch ${batch.origin}:${batch.first}-${batch.last} ${why}` });
    return { events: 0, gaps: [] };
  }

  stop(stopped: Stopped): void {
    if (this.stopped !== undefined) return;
    this.stopped = stopped;
    this.options.onStopped(stopped);
  }
}
