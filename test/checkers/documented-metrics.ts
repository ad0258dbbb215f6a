/** The tables of `docs/metrics.md` and the text a process exposes, brought to one form: metric name → type. */

export type MetricTypes = ReadonlyMap<string, string>;

export interface DocumentedMetrics {
  readonly region: MetricTypes;
  readonly router: MetricTypes;
  readonly nats: MetricTypes;
}

/**
 * A row is `` | `name` | type | unit | meaning | ``, under a heading `## Every process`, `## Region`, `## Router` or
 * `## NATS`; the metrics of every process belong to region and router. Throws when a row names a metric twice.
 */
export function documentedMetrics(markdown: string): DocumentedMetrics {
  const sections = new Map<string, Map<string, string>>();
  let heading = '';
  for (const line of markdown.split('\n')) {
    if (line.startsWith('## ')) heading = line.slice(3).trim();
    const [, name, type] = /^\| `([a-z_0-9]+)` \| (\w+) \| .+ \| .+ \|$/.exec(line) ?? [];
    if (name === undefined || type === undefined) continue;
    const section = sections.get(heading) ?? new Map<string, string>();
    if (section.has(name)) throw new Error(`${name} is documented twice under ${heading}`);
    sections.set(heading, section.set(name, type));
  }
  const joined = (...headings: readonly string[]): MetricTypes => {
    const rows = headings.flatMap((title) => [...(sections.get(title) ?? [])]);
    return new Map(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  return {
    region: joined('Every process', 'Region'),
    router: joined('Every process', 'Router'),
    nats: joined('NATS'),
  };
}

/** The `# TYPE` lines of Prometheus' text. */
export function exposedMetrics(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) found.set(name!, type!);
  return found;
}
