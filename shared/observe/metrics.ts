/**
 * The metrics of one process, in its own registry: several services of one test process never share a counter.
 *
 * Names start with `tidal_` and end with a base unit (`_seconds`, `_bytes`) or, for counters, `_total`; the constructors
 * check it, so that `promtool check metrics` stays clean. Every series carries `process` and `name`.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { assert } from '../kernel/kernel.ts';

/** Upper bounds in seconds, 100 µs to 10 s. */
export const latencyBucketsSeconds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Upper bounds for sizes of batches and groups, 1 to 10,000. */
export const sizeBuckets: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

export interface MetricOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

export interface CounterOptions<L extends string> extends MetricOptions<L> {
  /** Series that are 0 from the start: the first event of one that appears with it is no increase. */
  readonly series?: readonly Readonly<Record<L, string>>[];
}

export interface GaugeOptions<L extends string> extends MetricOptions<L> {
  /** Called at each scrape, to set values that are only computed then. */
  readonly collect?: ((gauge: Gauge<L>) => void) | undefined;
  /** Instead of `collect`, of a gauge without labels: its value at each scrape; undefined: it has none. */
  readonly read?: () => number | boolean | undefined;
}

export interface HistogramOptions<L extends string> extends MetricOptions<L> {
  /** {@link latencyBucketsSeconds} when absent. */
  readonly buckets?: readonly number[];
}

export interface Metrics {
  counter<L extends string = never>(options: CounterOptions<L>): Counter<L>;
  gauge<L extends string = never>(options: GaugeOptions<L>): Gauge<L>;
  histogram<L extends string = never>(options: HistogramOptions<L>): Histogram<L>;
  /** The answer of `GET /metrics`. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly process: 'router' | 'region' | 'nats';
  /** The region's name, `router` or `nats`. */
  readonly name: string;
  /** Standard `process_*` and `nodejs_*` metrics; a simulation of many services in one process omits them. */
  readonly nodeMetrics?: boolean;
  /** Of the program. */
  readonly version?: {
    readonly program?: string;
    readonly protocols: { readonly oldest: number; readonly newest: number };
  };
}

// Gauges that the library names `_total`, which promtool refuses; the equivalent `_resources` gauges have the type as a label.
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

const namePattern = /^tidal_[a-z][a-z0-9]*(_[a-z0-9]+)*$/;

/** What a scrape of the gauge runs; undefined: it is set as things happen. */
export function collectorOf<L extends string>({ collect, read }: GaugeOptions<L>): GaugeOptions<L>['collect'] {
  if (read === undefined) return collect;
  return (gauge) => {
    const value = read();
    if (value === undefined) gauge.remove();
    else gauge.set(Number(value));
  };
}

export function createMetrics({ process, name, nodeMetrics = true, version }: MetricsOptions): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process, name });
  if (nodeMetrics) {
    collectDefaultMetrics({ register: registry });
    for (const metric of misnamed) registry.removeSingleMetric(metric);
  }
  const common = <L extends string>(options: MetricOptions<L>) => {
    assert(namePattern.test(options.name), 'a metric is not named tidal_…', () => options.name);
    assert(options.help !== '', 'a metric needs a help text', () => options.name);
    return {
      name: options.name,
      help: options.help,
      labelNames: [...(options.labels ?? [])],
      registers: [registry],
    };
  };
  if (version !== undefined) {
    const info = new Gauge(
      common({
        name: 'tidal_build_info',
        help: '1, with the version of the program and the protocols it speaks.',
        labels: ['version', 'protocols'],
      }),
    );
    const { oldest, newest } = version.protocols;
    info.set({ version: version.program ?? '', protocols: `${oldest}-${newest}` }, 1);
  }
  return {
    counter(options) {
      assert(options.name.endsWith('_total'), 'a counter ends with _total', () => options.name);
      const counter = new Counter(common(options));
      for (const labels of options.series ?? []) counter.inc(labels, 0);
      return counter;
    },
    gauge(options) {
      assert(!options.name.endsWith('_total'), 'a gauge does not end with _total', () => options.name);
      const collect = collectorOf(options);
      return new Gauge({
        ...common(options),
        ...(collect === undefined
          ? {}
          : {
              collect() {
                collect(this);
              },
            }),
      });
    },
    histogram(options) {
      assert(!/_(total|count|sum|bucket)$/.test(options.name), 'a histogram has a reserved suffix', () => options.name);
      return new Histogram({ ...common(options), buckets: [...(options.buckets ?? latencyBucketsSeconds)] });
    },
    async render() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}
