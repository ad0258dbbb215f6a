/**
 * `npm run demo`: fills a running cluster with the 3,201 films of vega-datasets through the public HTTP surface, plays signals
 * drawn from their votes, and prints a few feeds and searches. A second run replaces the items and adds the signals again.
 */

import { parseArgs } from 'node:util';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { Api, bodiesOf } from '../demo/api.ts';
import { filmOf, readFilms } from '../demo/films.ts';
import { playSignals } from '../demo/play.ts';
import { Progress, table } from '../demo/show.ts';

/** Films get the ids from here on, so that they do not collide with items put by hand. */
const FIRST_FILM = 1_000_001;
const help = `npm run demo -- [--url URL] [--limit N] [--signals N] [--seed N] [--feeds PROFILE,...]

  --url      the cluster, default http://127.0.0.1:9500
  --limit    how many of the 3,201 films are loaded, default all
  --signals  how many signals are played, default 60000
  --seed     draws the signals, default 1; the same seed plays the same signals
  --feeds    the profiles whose feeds are printed, default trending; with --limit 0 nothing is loaded before

If the cluster has keys, TIDAL_API_KEY is one with the scopes read, write and admin.
`;

interface Settings {
  readonly url: string;
  readonly limit: number;
  readonly signals: number;
  readonly seed: number;
  readonly feeds: readonly string[];
}

interface Ranked {
  readonly items: readonly {
    readonly entity_id: number;
    readonly score: number;
    readonly metadata?: Readonly<Record<string, unknown>>;
    readonly signals?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  }[];
  readonly region: string;
  readonly lag_events: number;
}

interface Status {
  readonly leader: string;
  readonly epoch: number;
  readonly relay_log_len: number;
  readonly regions: readonly {
    readonly name: string;
    readonly role?: string;
    readonly applied_events: number;
    readonly lag_events: number;
    readonly partitioned: boolean;
  }[];
}

function settingsOf(args: readonly string[]): Settings | undefined {
  const text = { type: 'string' } as const;
  const options = {
    url: text,
    limit: text,
    signals: text,
    seed: text,
    feeds: text,
    help: { type: 'boolean', short: 'h' },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    ({ values } = parseArgs({ args: [...args], options }));
  } catch (error) {
    throw new ConfigError(`demo: ${(error as Error).message}`);
  }
  if (values.help === true) return undefined;
  const count = (name: 'limit' | 'signals' | 'seed', fallback: number): number => {
    const given = values[name];
    if (given === undefined) return fallback;
    if (!/^\d{1,9}$/.test(given)) throw new ConfigError(`demo: --${name} must be a whole number, not "${given}"`);
    return Number(given);
  };
  const url = values.url ?? 'http://127.0.0.1:9500';
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new ConfigError(`demo: --url is no URL: "${url}"`);
  return {
    url: url.replace(/\/+$/, ''),
    limit: count('limit', Number.MAX_SAFE_INTEGER),
    signals: count('signals', 60_000),
    seed: count('seed', 1),
    feeds: (values.feeds ?? 'trending').split(','),
  };
}

async function load(api: Api, label: string, path: string, records: Iterable<unknown>, total: number): Promise<void> {
  const progress = new Progress(process.stdout, label, total);
  let done = 0;
  progress.update(0);
  for (const { text, lines } of bodiesOf(records)) {
    await api.post(path, text);
    done += lines;
    progress.update(done);
  }
}

function rankedTable({ items, region, lag_events }: Ranked): string {
  const rows = items.map(({ entity_id, score, metadata = {}, signals = {} }, index) => [
    index + 1,
    String(metadata.title ?? `film ${entity_id}`),
    typeof metadata.year === 'number' ? metadata.year : undefined,
    String(metadata.category ?? ''),
    typeof metadata.rating === 'number' ? metadata.rating : undefined,
    signals.view?.['24h'] ?? 0,
    signals.like?.['24h'] ?? 0,
    score,
  ]);
  const heads = ['#', 'title', 'year', 'genre', 'rating', 'views 24h', 'likes 24h', 'score'];
  return `${table(heads, rows)}\n(answered by ${region}, ${lag_events} events behind)`;
}

async function run({ url, limit, signals, seed, feeds }: Settings): Promise<void> {
  const key = process.env.TIDAL_API_KEY;
  const api = new Api({ url, clock, key: key === '' ? undefined : key });
  await api.get('/health');
  const films = readFilms()
    .slice(0, limit)
    .map((record, index) => filmOf(record, FIRST_FILM + index));
  const count = films.length === 0 ? 0 : signals;

  const began = clock.monotonicMs();
  const items = films.map(({ entityId, metadata }) => ({ entity_id: entityId, metadata }));
  const embeddings = films.map(({ entityId, values }) => ({ entity_id: entityId, values }));
  await load(api, 'items', '/items', items, films.length);
  await load(api, 'embeddings', '/embeddings', embeddings, films.length);
  await load(api, 'signals', '/signals', playSignals({ films, count, seed, nowMs: clock.nowMs() }), count);
  const seconds = (clock.monotonicMs() - began) / 1_000;
  console.log(`${2 * films.length + count} writes in ${seconds.toFixed(1)} s`);

  for (const profile of feeds) {
    const path = `/feed?profile=${encodeURIComponent(profile)}&limit=10`;
    console.log(`\n${profile === 'trending' ? 'Trending now' : 'Feed'}   GET ${path}`);
    console.log(rankedTable((await api.get(path)) as Ranked));
  }

  console.log('\nSearch   GET /search?query=godfather&limit=5');
  const found = (await api.get('/search?query=godfather&limit=5')) as Ranked;
  console.log(rankedTable(found));

  const first = found.items[0];
  if (first !== undefined) {
    const path = `/feed?profile=related&entity_id=${first.entity_id}&limit=5`;
    console.log(`\nRelated to ${String(first.metadata?.title ?? first.entity_id)}   GET ${path}`);
    console.log(rankedTable((await api.get(path)) as Ranked));
  }

  const status = (await api.get('/cluster/status')) as Status;
  console.log(
    `\nCluster   GET /cluster/status   leader ${status.leader}, epoch ${status.epoch}, ${status.relay_log_len} events`,
  );
  console.log(
    table(
      ['region', 'role', 'applied', 'lag', 'partitioned'],
      status.regions.map((region) => [
        region.name,
        region.role ?? '',
        region.applied_events,
        region.lag_events,
        region.partitioned ? 'yes' : 'no',
      ]),
    ),
  );
}

onInterrupt(() => {});
try {
  const settings = settingsOf(process.argv.slice(2));
  if (settings === undefined) process.stdout.write(help);
  else await run(settings);
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof Fault)) throw error;
  process.stderr.write(`\n${error.message}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}
