/** The newest samples, in columns. */
import { type LivePast, PAST_SAMPLES } from './console.ts';

export interface Sample {
  readonly at: string;
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  /** In topology order. */
  readonly regions: readonly {
    readonly name: string;
    readonly lag_events: number | null;
    readonly lag_seconds: number | null;
  }[];
}

export class Past {
  private readonly samples: Sample[] = [];

  add(sample: Sample): void {
    this.samples.push(sample);
    if (this.samples.length > PAST_SAMPLES) this.samples.shift();
  }

  get columns(): LivePast {
    const { samples } = this;
    const names = samples.at(-1)?.regions.map(({ name }) => name) ?? [];
    const ofRegions = (member: 'lag_events' | 'lag_seconds') =>
      Object.fromEntries(names.map((name, index) => [name, samples.map(({ regions }) => regions[index]![member])]));
    return {
      at: samples.map(({ at }) => at),
      writes_per_second: samples.map(({ writesPerSecond }) => writesPerSecond),
      reads_per_second: samples.map(({ readsPerSecond }) => readsPerSecond),
      lag_events: ofRegions('lag_events'),
      lag_seconds: ofRegions('lag_seconds'),
    };
  }
}
