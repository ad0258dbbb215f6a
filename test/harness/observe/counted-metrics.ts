/** Metrics of parts under test: what was counted can be read at once; gauges and histograms are not kept. */
import type { Metrics } from '../../../shared/observe/metrics.ts';

type Labels = Readonly<Record<string, string>>;

export class CountedMetrics implements Metrics {
  /** By name, then by the values of the labels, in the order of the first increment. */
  private readonly counted = new Map<string, Map<string, number>>();

  /** The counter's value, over all its labels. */
  total(name: string): number {
    return [...(this.counted.get(name)?.values() ?? [])].reduce((sum, count) => sum + count, 0);
  }

  /** The labels of the counter, each as often as it was counted. */
  labels(name: string): string[] {
    return [...(this.counted.get(name) ?? [])].flatMap(([labels, count]) => new Array<string>(count).fill(labels));
  }

  readonly counter = (({ name }: { readonly name: string }) => ({
    inc: (first: number | Labels = 1, second = 1) => {
      const [labels, by] = typeof first === 'number' ? ['', first] : [Object.values(first).join(' '), second];
      const counts = this.counted.get(name) ?? new Map<string, number>();
      this.counted.set(name, counts);
      if (by > 0) counts.set(labels, (counts.get(labels) ?? 0) + by);
    },
  })) as never as Metrics['counter'];
  readonly gauge = (() => ({ set() {}, remove() {} })) as never as Metrics['gauge'];
  readonly histogram = (() => ({ observe() {} })) as never as Metrics['histogram'];

  async render(): Promise<never> {
    throw new Error('metrics of parts under test are not rendered');
  }
}

/** Of parts whose metrics nothing reads. */
export const unreadMetrics: Metrics = new CountedMetrics();
