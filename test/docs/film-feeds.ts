/**
 * docs/ranking/films.md: what every profile makes of the demo's films and votes, at a fixed time and by the ranking code. The
 * same films, signals and seed as `npm run demo`, with one difference: the films are put in the order of their release, the
 * oldest 30 days ago and the latest just now. The demo puts all of them at once, where `hot`, `new` and recency have nothing to
 * distinguish.
 */
import { type FilmRecord, filmOf, readFilms } from '../../deploy/demo/films.ts';
import { playSignals } from '../../deploy/demo/play.ts';
import { table } from '../../deploy/demo/show.ts';
import type { RankedItem } from '../../services/region/http/reads/ranked-items.ts';
import type { FeedQuery } from '../../services/region/rank/rank.ts';
import type { Schema } from '../../services/region/schema/schema.ts';
import { HOUR_MS, STAGE_MS, Stage } from './stage.ts';

const SPREAD_HOURS = 30 * 24;
const SIGNALS = 60_000;
const SEED = 1;
const SHOWN = 10;

interface Shown {
  readonly profile: string;
  /** Beside the profile, as a client writes it. */
  readonly asked?: string;
  readonly query?: Partial<FeedQuery>;
  readonly says: string;
}

/** `schema`: the default one. */
export function filmFeeds(schema: Schema): string {
  const stage = filmStage(schema);
  const feeds: readonly Shown[] = [
    {
      profile: 'trending',
      says: 'What is seen and shared most right now: the films everybody votes for. *Fight Club* passes *The Fellowship of the Ring* with fewer views, by its shares.',
    },
    {
      profile: 'trending',
      asked: 'window=1h',
      query: { window: '1h' },
      says: 'The same over the last hour: *One Flew Over the Cuckoo’s Nest*, not among the first ten of the day, is on the fourth place.',
    },
    {
      profile: 'hot',
      says: 'The summer of 2010 - the last day, here - and among it *Avatar*, *Shutter Island* and *Inglourious Basterds*, older but with far more for them. The canon of `top` is weeks old, and absent.',
    },
    {
      profile: 'new',
      says: 'The latest releases, mostly unseen: what was announced for the months after the data were collected.',
    },
    {
      profile: 'rising',
      says: 'All of this audience comes late - a seventh of two days’ signals falls into the last hour - so every film rises, and the big ones rise most surely. Above its size stands who rose more than that: *One Flew Over the Cuckoo’s Nest*, and *Inception*, four hours old.',
    },
    { profile: 'top', says: 'The canon, as the votes say.' },
    {
      profile: 'best',
      says: 'What most would approve of, as far as few or many opinions tell: *Monty Python and the Holy Grail*, with nobody against it, before *The Dark Knight*, which more than three times as many like and fifteen do not.',
    },
    {
      profile: 'controversial',
      says: `The formula to the letter: ${tiesOfFew(stage)}`,
    },
    {
      profile: 'debated',
      says: 'Blockbusters people are of two minds about, rated about 6 to 7: by likes, shares and completions against skips and hides, and with the weight of confidence.',
    },
    {
      profile: 'hidden_gems',
      says: 'Well-loved films few have seen: rated 7 to 9, with a tenth of the votes of those in `top`. Without the weight of confidence ten films with a signal or two for them stood here.',
    },
    { profile: 'most_viewed', says: 'By views alone.' },
    { profile: 'most_liked', says: 'By likes alone.' },
    {
      profile: 'fresh_favourites',
      says: 'The custom profile of the default schema: what was liked lately, newer films first among equals, if at least three saw it this week. *The Shawshank Redemption*, four weeks old here, comes after films of the last years.',
    },
    {
      profile: 'shuffle',
      asked: 'seed=tonight',
      query: { seed: 'tonight' },
      says: 'Any ten, the same ten in every region.',
    },
  ];
  return [
    '# The profiles on films and their votes',
    '',
    '<!-- Written by npm run docs:ranking; a test compares it with what that writes. -->',
    '',
    `3,201 films of the data set that \`npm run demo\` loads, and its ${SIGNALS.toLocaleString('en')} signals of seed ${SEED}: films drawn by their votes, reactions by`,
    'their rating, over two days and denser towards the end. The films are put in the order of their release over 30 days, the',
    'latest last; what would be a reaction to a film that is not there yet is left out. What the formulas are: [ranking.md](../ranking.md).',
    '',
    '`npm run docs:ranking` prints these tables into this page. The same from a running cluster, where all films are as old as',
    'the demo is: `npm run demo -- --feeds hot,rising,debated,hidden_gems`.',
    '',
    '“for” counts likes, shares and completions, “against” skips and hides, both of all time; “age” is in hours.',
    ...feeds.flatMap(({ profile, asked, query, says }) => [
      '',
      `## ${profile}${asked === undefined ? '' : ` ${asked}`}`,
      '',
      says,
      '',
      '```',
      `GET /feed?profile=${profile}&limit=${SHOWN}${asked === undefined ? '' : `&${asked}`}`,
      '',
      feedTable(stage, stage.feed(profile, { limit: SHOWN, ...query })),
      '```',
    ]),
    '',
  ].join('\n');
}

/** What leads `controversial`, and where it has the film that leads `debated`. */
function tiesOfFew(stage: Stage): string {
  const all = stage.feed('controversial', { limit: stage.catalog.size });
  const counts = all
    .filter(({ score }) => score === 0.25)
    .map(({ signals }) => Object.values(signals).reduce((sum, windows) => sum + windows.all!, 0))
    .sort((a, b) => a - b);
  const ofTwo = counts.filter((count) => count === 2).length;
  const [debated] = stage.feed('debated', { limit: 1 });
  const { rank } = all.find(({ entity_id }) => entity_id === debated!.entity_id)!;
  return (
    `${counts.length} films share the most there is, 0.25, and the lower id comes first. None of them has more than ` +
    `${counts.at(-1)} signals, ${ofTwo} have two: a view or a like, and a skip or a hide. *${debated!.metadata.title}*, first ` +
    `in \`debated\`, is number ${rank} here, because every view counts for it.`
  );
}

function filmStage(schema: Schema): Stage {
  const films = readFilms().map((record, index) => ({ film: filmOf(record, index + 1), released: releaseOf(record) }));
  const byRelease = [...films].sort((a, b) => b.released - a.released || a.film.entityId - b.film.entityId);
  const stage = new Stage(schema);
  const ageHours = new Map<number, number>();
  for (const [place, { film }] of byRelease.entries()) {
    const hours = (SPREAD_HOURS * place) / byRelease.length;
    ageHours.set(film.entityId, hours);
    stage.put(film.entityId, film.metadata, hours);
  }
  const audience = { films: films.map(({ film }) => film), count: SIGNALS, seed: SEED, nowMs: STAGE_MS };
  for (const { entity_id, signal, weight, timestamp } of playSignals(audience)) {
    const hours = (STAGE_MS - Date.parse(timestamp)) / HOUR_MS;
    if (hours <= ageHours.get(entity_id)!) stage.signal(entity_id, signal, weight, hours);
  }
  return stage;
}

/** Epoch ms; a film without a date is older than all others. */
function releaseOf(record: FilmRecord): number {
  const { year } = filmOf(record, 1).metadata;
  const dayMs = Date.parse(`${record['Release Date'] ?? ''} UTC`);
  // Some dates are a century late; the year of the metadata is set right.
  return typeof year === 'number' && !Number.isNaN(dayMs) ? new Date(dayMs).setUTCFullYear(year) : -Infinity;
}

function feedTable(stage: Stage, items: readonly RankedItem[]): string {
  const heads = [
    '#',
    'title',
    'year',
    'rating',
    'age',
    'views 24h',
    'views 1h',
    'shares 24h',
    'for',
    'against',
    'score',
  ];
  const rows = items.map(({ entity_id, rank, score, metadata, signals }) => {
    const sum = (signal: string, window: string): number => signals[signal]?.[window] ?? 0;
    const ageHours = (STAGE_MS - stage.catalog.item(entity_id)!.createdMs) / HOUR_MS;
    return [
      rank,
      String(metadata.title),
      typeof metadata.year === 'number' ? metadata.year : undefined,
      typeof metadata.rating === 'number' ? metadata.rating : undefined,
      Math.round(ageHours),
      sum('view', '24h'),
      sum('view', '1h'),
      sum('share', '24h'),
      Math.round(sum('like', 'all') + sum('share', 'all') + sum('completion', 'all')),
      sum('skip', 'all') + sum('hide', 'all'),
      score,
    ];
  });
  return table(heads, rows);
}
