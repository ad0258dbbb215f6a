/**
 * Metrics that outlive the parts that register them: a part that is recreated in the same process gets its former counters, and
 * gauges are read from the newest part. While there is none, gauges keep their last values.
 */
import type { Gauge } from 'prom-client';
import { assert } from '../../shared/kernel/kernel.ts';
import { collectorOf, type Metrics } from '../../shared/observe/metrics.ts';

export interface LastingMetrics extends Metrics {
  /** Gauges are not read from now on, until the next part registers its own. */
  pause(): void;
}

export function lastingMetrics(metrics: Metrics): LastingMetrics {
  const made = new Map<string, unknown>();
  const collectors = new Map<string, (gauge: Gauge<string>) => void>();
  const once = <T>(name: string, make: () => T): T => {
    let metric = made.get(name) as T | undefined;
    if (metric === undefined) {
      metric = make();
      made.set(name, metric);
    }
    return metric;
  };
  return {
    counter: (options) => once(options.name, () => metrics.counter(options)),
    histogram: (options) => once(options.name, () => metrics.histogram(options)),
    gauge(options) {
      const { collect: _, read, ...rest } = options;
      const collect = collectorOf(options);
      if (collect !== undefined) collectors.set(options.name, collect as (gauge: Gauge<string>) => void);
      return once(options.name, () =>
        metrics.gauge({ ...rest, collect: (gauge) => collectors.get(options.name)?.(gauge as Gauge<string>) }),
      );
    },
    render: () => metrics.render(),
    pause() {
      assert(made.size > 0, 'metrics are paused after a part used them');
      collectors.clear();
    },
  };
}
