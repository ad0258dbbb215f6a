/** The films of vega-datasets as items: metadata, a description made of their fields, and an embedding derived from them. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Fault } from '../../shared/errors/errors.ts';

/** One record of `movies.json`; anything may be null, and ten titles are numbers or missing. */
export interface FilmRecord {
  readonly Title: string | number | null;
  readonly 'Worldwide Gross': number | null;
  readonly 'Production Budget': number | null;
  /** `Jun 12 1998` */
  readonly 'Release Date': string | null;
  readonly 'MPAA Rating': string | null;
  readonly 'Running Time min': number | null;
  readonly Distributor: string | null;
  readonly Source: string | null;
  readonly 'Major Genre': string | null;
  readonly 'Creative Type': string | null;
  readonly Director: string | null;
  readonly 'Rotten Tomatoes Rating': number | null;
  readonly 'IMDB Rating': number | null;
  readonly 'IMDB Votes': number | null;
}

export type MetadataValue = string | number | boolean | readonly string[];

export interface Film {
  readonly entityId: number;
  readonly metadata: Readonly<Record<string, MetadataValue>>;
  /** Four numbers from -1 to 1, see {@link embeddingOf}. */
  readonly values: readonly number[];
  /** How many votes the film has; at least 1. */
  readonly votes: number;
  /** 0 … 1, from the rating; 0.5 without one. */
  readonly appeal: number;
}

/** Neighbours on this circle are related. */
const genreCircle = [
  'Action',
  'Adventure',
  'Western',
  'Thriller/Suspense',
  'Horror',
  'Black Comedy',
  'Comedy',
  'Romantic Comedy',
  'Musical',
  'Concert/Performance',
  'Documentary',
  'Drama',
];

/** The data were collected in 2010; later years are older films whose century was guessed wrongly. */
const lastYear = 2011;

/** The 3,201 records of the data set. Throws `Fault('demo_failed')` if it is not installed. */
export function readFilms(): readonly FilmRecord[] {
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve('vega-datasets');
  } catch (error) {
    throw new Fault('demo_failed', 'the films are in vega-datasets, a development dependency: npm ci', {
      cause: error,
    });
  }
  // The package exports only its code; the data are files next to it.
  return JSON.parse(readFileSync(join(dirname(entry), '..', 'data', 'movies.json'), 'utf8')) as FilmRecord[];
}

/** `entityId` = index in the file, from 1. */
export function filmOf(record: FilmRecord, entityId: number): Film {
  const rating = record['IMDB Rating'] ?? undefined;
  return {
    entityId,
    metadata: metadataOf(record),
    values: embeddingOf(yearOf(record), rating, record['Major Genre'] ?? undefined),
    votes: Math.max(1, record['IMDB Votes'] ?? 0),
    appeal: rating === undefined ? 0.5 : rating / 10,
  };
}

/**
 * A film as a point in the schema's four dimensions, so that near means similar: the year (1930 → -1, 2010 → 1), the rating (1 →
 * -1, 10 → 1, none → 0), and the genre as a point of a circle on which related genres are neighbours (cos, sin; none → 0, 0). The
 * last two count as much as a difference of 40 years.
 */
export function embeddingOf(year: number | undefined, rating: number | undefined, genre: string | undefined): number[] {
  const place = genre === undefined ? -1 : genreCircle.indexOf(genre);
  const angle = (2 * Math.PI * place) / genreCircle.length;
  const values = [
    // Not exactly in the middle: a vector of zeros has no direction to compare.
    year === undefined ? 0.01 : clamp((year - 1969.5) / 40),
    rating === undefined ? 0 : clamp((rating - 5.5) / 4.5),
    place < 0 ? 0 : Math.cos(angle),
    place < 0 ? 0 : Math.sin(angle),
  ];
  return values.map((value) => Math.round(value * 10_000) / 10_000);
}

function clamp(value: number): number {
  return Math.max(-1, Math.min(1, value));
}

function yearOf(record: FilmRecord): number | undefined {
  const year = Number(/\b(\d{4})$/.exec(record['Release Date'] ?? '')?.[1]);
  if (!Number.isInteger(year)) return undefined;
  return year > lastYear ? year - 100 : year;
}

function metadataOf(record: FilmRecord): Readonly<Record<string, MetadataValue>> {
  const tags = [record['Creative Type'], record.Source, record['MPAA Rating']].filter((tag) => tag !== null);
  const fields: Readonly<Record<string, MetadataValue | null | undefined>> = {
    // Some titles are numbers in the data: 1776, 300.
    title: record.Title === null ? undefined : String(record.Title),
    category: record['Major Genre'],
    year: yearOf(record),
    director: record.Director,
    distributor: record.Distributor,
    rating: record['IMDB Rating'],
    votes: record['IMDB Votes'],
    critics: record['Rotten Tomatoes Rating'],
    minutes: record['Running Time min'],
    gross: record['Worldwide Gross'],
    tags: tags.length === 0 ? undefined : tags,
    description: descriptionOf(record),
  };
  const metadata: Record<string, MetadataValue> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined) metadata[name] = value;
  }
  return metadata;
}

function descriptionOf(record: FilmRecord): string {
  const year = yearOf(record);
  const kind = record['Major Genre'] === null ? 'film' : `${record['Major Genre'].toLowerCase()} film`;
  return [
    `A ${kind}`,
    year === undefined ? '' : ` of ${year}`,
    record.Director === null ? '' : ` directed by ${record.Director}`,
    record.Distributor === null ? '' : `, distributed by ${record.Distributor}`,
    record.Source === null ? '' : `, ${record.Source.toLowerCase()}`,
    record['Creative Type'] === null ? '' : `, ${record['Creative Type'].toLowerCase()}`,
    '.',
  ].join('');
}
