/**
 * `npm run demo`: fills a running cluster with the 3,201 films of vega-datasets through the public HTTP surface, plays signals
 * drawn from their votes, and prints a few feeds and searches. A second run replaces the items and adds the signals again.
 */

import { parseArgs } from 'node:util';
import { type api, TidalClient, TidalProblem, TidalUnanswered } from '../../shared/client/client.ts';
import { baseUrlOf, isKey, keyRule, urlRule } from '../../shared/client/given.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { onInterrupt } from '../../shared/kernel/ending.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { filmOf, readFilms } from '../demo/films.ts';
import { partsOf } from '../demo/parts.ts';
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
  readonly key: string | undefined;
  readonly limit: number;
  readonly signals: number;
  readonly seed: number;
  readonly feeds: readonly string[];
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
  const url = baseUrlOf(values.url ?? 'http://127.0.0.1:9500');
  if (url === undefined) throw new ConfigError(`demo: --url must be ${urlRule}`);
  const key = process.env.TIDAL_API_KEY || undefined;
  if (key !== undefined && !isKey(key)) throw new ConfigError(`demo: TIDAL_API_KEY must be ${keyRule}`);
  return {
    ...{ url, key },
    limit: count('limit', Number.MAX_SAFE_INTEGER),
    signals: count('signals', 60_000),
    seed: count('seed', 1),
    feeds: (values.feeds ?? 'trending').split(','),
  };
}

/** `write`: one bulk, all or nothing. */
async function load<T>(
  label: string,
  {
    records,
    total,
    write,
  }: { readonly records: Iterable<T>; readonly total: number; readonly write: (part: T[]) => Promise<unknown> },
): Promise<void> {
  const progress = new Progress(process.stdout, label, total);
  let done = 0;
  progress.update(0);
  for (const part of partsOf(records)) {
    await write(part);
    done += part.length;
    progress.update(done);
  }
}

function rankedTable({ items, region, lag_events }: Pick<api.FeedAnswer, 'items' | 'region' | 'lag_events'>): string {
  const rows = items.map(({ entity_id, score, metadata, signals }, index) => [
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
  return `${table(heads, rows)}\n(answered by ${region}, ${lag_events ?? 'unknown'} events behind)`;
}

async function run({ url, key, limit, signals, seed, feeds }: Settings): Promise<void> {
  const tidal = new TidalClient({ urls: [url], key });
  await tidal.health();
  const films = readFilms()
    .slice(0, limit)
    .map((record, index) => filmOf(record, FIRST_FILM + index));
  const count = films.length === 0 ? 0 : signals;

  const began = clock.monotonicMs();
  const items = films.map(({ entityId, metadata }) => ({ entity_id: entityId, metadata }));
  const embeddings = films.map(({ entityId, values }) => ({ entity_id: entityId, values }));
  const played = playSignals({ films, count, seed, nowMs: clock.nowMs() });
  await load('items', { records: items, total: films.length, write: (part) => tidal.putItems(part) });
  await load('embeddings', { records: embeddings, total: films.length, write: (part) => tidal.putEmbeddings(part) });
  await load('signals', { records: played, total: count, write: (part) => tidal.addSignals(part) });
  const seconds = (clock.monotonicMs() - began) / 1_000;
  console.log(`${2 * films.length + count} writes in ${seconds.toFixed(1)} s`);

  for (const profile of feeds) {
    const path = `/feed?profile=${encodeURIComponent(profile)}&limit=10`;
    console.log(`\n${profile === 'trending' ? 'Trending now' : 'Feed'}   GET ${path}`);
    console.log(rankedTable(await tidal.feed({ profile, limit: 10 })));
  }

  console.log('\nSearch   GET /search?query=godfather&limit=5');
  const found = await tidal.search({ query: 'godfather', limit: 5 });
  console.log(rankedTable(found));

  const first = found.items[0];
  if (first !== undefined) {
    const path = `/feed?profile=related&entity_id=${first.entity_id}&limit=5`;
    console.log(`\nRelated to ${String(first.metadata.title ?? first.entity_id)}   GET ${path}`);
    console.log(rankedTable(await tidal.feed({ profile: 'related', entity_id: first.entity_id, limit: 5 })));
  }

  const status = await tidal.status();
  console.log(
    `\nCluster   GET /cluster/status   leader ${status.leader}, epoch ${status.epoch}, ${status.relay_log_len} events`,
  );
  console.log(
    table(
      ['region', 'role', 'applied', 'lag', 'partitioned'],
      status.regions.map((region) => [
        region.name,
        region.role,
        region.applied_events ?? undefined,
        region.lag_events ?? undefined,
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
  const isSaid = [ConfigError, Fault, TidalProblem, TidalUnanswered].some((known) => error instanceof known);
  if (!(error instanceof Error && isSaid)) throw error;
  const hint = error instanceof TidalUnanswered ? '. Is the cluster running? npm start' : '';
  process.stderr.write(`\n${error.message}${hint}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}
