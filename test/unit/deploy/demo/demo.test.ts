/** The demo's films, signals, bulks and tables. */
import assert from 'node:assert/strict';
import { embeddingOf, type FilmRecord, filmOf, readFilms } from '../../../../deploy/demo/films.ts';
import { partLimits, partsOf } from '../../../../deploy/demo/parts.ts';
import { playSignals } from '../../../../deploy/demo/play.ts';
import { Progress, table } from '../../../../deploy/demo/show.ts';

const empty: FilmRecord = {
  Title: null,
  'Worldwide Gross': null,
  'Production Budget': null,
  'Release Date': null,
  'MPAA Rating': null,
  'Running Time min': null,
  Distributor: null,
  Source: null,
  'Major Genre': null,
  'Creative Type': null,
  Director: null,
  'Rotten Tomatoes Rating': null,
  'IMDB Rating': null,
  'IMDB Votes': null,
};

describe('demo films', () => {
  const films = readFilms().map((record, index) => filmOf(record, index + 1));

  it('every one of the 3,201 records becomes an item the surface takes: flat, no nulls, finite values', () => {
    assert.equal(films.length, 3_201);
    assert.equal(new Set(films.map(({ entityId }) => entityId)).size, 3_201);
    for (const { metadata, values, votes, appeal } of films) {
      for (const value of Object.values(metadata)) {
        const texts = Array.isArray(value) && value.length > 0 && value.every((tag) => typeof tag === 'string');
        assert.ok(texts || typeof value === 'string' || Number.isFinite(value), JSON.stringify(metadata));
      }
      assert.ok(typeof metadata.description === 'string' && !/null|undefined|NaN/.test(metadata.description));
      assert.equal(values.length, 4);
      assert.ok(
        values.every((value) => value >= -1 && value <= 1),
        JSON.stringify(values),
      );
      assert.ok(Math.hypot(...values) > 0, 'a vector without direction');
      assert.ok(votes >= 1 && appeal >= 0 && appeal <= 1);
    }
  });

  it('a title that is a number becomes a text, a missing one is left out, a wrong century is set right', () => {
    assert.equal(filmOf({ ...empty, Title: 1776 }, 1).metadata.title, '1776');
    assert.equal(films.filter(({ metadata }) => metadata.title === '300').length, 1);
    assert.equal(films.filter(({ metadata }) => metadata.title === undefined).length, 1);
    assert.equal(filmOf({ ...empty, 'Release Date': 'Feb 08 2015' }, 1).metadata.year, 1915);
    assert.equal(filmOf({ ...empty, 'Release Date': 'Feb 08 2010' }, 1).metadata.year, 2010);
    assert.deepEqual(filmOf(empty, 7), {
      entityId: 7,
      metadata: { description: 'A film.' },
      values: [0.01, 0, 0, 0],
      votes: 1,
      appeal: 0.5,
    });
  });

  it('a full record keeps its fields under our names', () => {
    const [covenant] = films.filter(({ metadata }) => metadata.title === 'The Covenant');
    assert.deepEqual(covenant?.metadata, {
      title: 'The Covenant',
      category: 'Thriller/Suspense',
      year: 2006,
      director: 'Renny Harlin',
      distributor: 'Sony/Screen Gems',
      rating: 4.8,
      votes: 17_736,
      critics: 3,
      minutes: 95,
      gross: 38_164_784,
      tags: ['Contemporary Fiction', 'Based on Comic/Graphic Novel', 'PG-13'],
      description:
        'A thriller/suspense film of 2006 directed by Renny Harlin, distributed by Sony/Screen Gems, based on comic/graphic novel, contemporary fiction.',
    });
    assert.deepEqual([covenant?.votes, covenant?.appeal], [17_736, 0.48]);
  });

  it('kindred films are nearer than strangers', () => {
    const distance = (a: number[], b: number[]): number => Math.hypot(...a.map((value, i) => value - b[i]!));
    const drama = embeddingOf(1972, 9.2, 'Drama');
    assert.ok(distance(drama, embeddingOf(1974, 9, 'Drama')) < 0.2);
    assert.ok(distance(drama, embeddingOf(2009, 3, 'Comedy')) > 1.5);
    assert.ok(distance(drama, embeddingOf(1972, 9.2, 'Action')) < distance(drama, embeddingOf(1972, 9.2, 'Comedy')));
  });
});

describe('demo signals', () => {
  const films = readFilms().map((record, index) => filmOf(record, index + 1));
  const nowMs = Date.UTC(2024, 0, 3);
  const play = (seed: number) => [...playSignals({ films, count: 20_000, seed, nowMs })];

  it('the same seed plays the same, another seed another', () => {
    assert.deepEqual(play(1), play(1));
    assert.notDeepEqual(play(1), play(2));
    assert.deepEqual([...playSignals({ films: [], count: 5, seed: 1, nowMs })], []);
  });

  it('are what the surface takes, follow the votes, and spread over the last 48 hours', () => {
    const signals = play(3);
    assert.equal(signals.length, 20_000);
    const known = new Set(['view', 'like', 'share', 'completion', 'skip', 'hide']);
    const perFilm = new Map<number, number>();
    for (const { entity_id, signal, weight, timestamp } of signals) {
      assert.ok(known.delete(signal) || !known.has(signal), signal);
      assert.ok(weight > 0 && weight <= 1 && Number.isInteger(Math.round(weight * 1e6) / 1e3), String(weight));
      const ageMs = nowMs - Date.parse(timestamp);
      assert.ok(ageMs >= 0 && ageMs <= 48 * 3_600_000, timestamp);
      perFilm.set(entity_id, (perFilm.get(entity_id) ?? 0) + 1);
    }
    assert.equal(known.size, 0, `never played: ${[...known]}`);
    const totalVotes = films.reduce((total, { votes }) => total + votes, 0);
    const [most] = [...perFilm].sort((a, b) => b[1] - a[1]);
    const expected = (20_000 * films[most![0] - 1]!.votes) / totalVotes;
    assert.ok(most![1] > expected * 0.7 && most![1] < expected * 1.6, `${most![1]} of ${expected} expected`);
  });
});

describe('demo bulks and tables', () => {
  it('bulks keep order and limits', () => {
    const records = Array.from({ length: 12_000 }, (_, id) => ({ id, text: 'ü'.repeat(id % 300) }));
    const parts = [...partsOf(records)];
    assert.ok(parts.length > 2);
    for (const part of parts) {
      const bytes = part.reduce((sum, record) => sum + Buffer.byteLength(`${JSON.stringify(record)}\n`), 0);
      assert.ok(bytes <= partLimits.bytes && part.length <= partLimits.records);
    }
    assert.deepEqual(parts.flat(), records);
    assert.deepEqual([...partsOf([])], []);
  });

  it('tables are aligned in columns', () => {
    const text = table(
      ['title', 'year'],
      [
        ['Heat', 1995],
        ['A much longer title than any column should ever be wide', undefined],
      ],
    );
    assert.deepEqual(text.split('\n'), [
      `title${' '.repeat(39)}  year`,
      `${'-'.repeat(44)}  ----`,
      `Heat${' '.repeat(40)}  1995`,
      'A much longer title than any column should …',
    ]);
    assert.deepEqual(table(['score'], [[9.2], [0.123456], [12]]).split('\n'), [
      ' score',
      '------',
      '   9.2',
      '0.1235',
      '    12',
    ]);
  });

  it('progress is a line every ten per cent without a terminal, a moving bar on one', () => {
    const lines: string[] = [];
    const plain = new Progress({ write: (text) => lines.push(text) }, 'items', 200);
    for (let done = 0; done <= 200; done++) plain.update(done);
    assert.equal(lines.length, 11);
    assert.equal(lines[5], 'items      [##########..........]  50 %  100 of 200\n');
    const moves: string[] = [];
    const bar = new Progress({ isTTY: true, write: (text) => moves.push(text) }, 'items', 200);
    for (let done = 0; done <= 200; done++) bar.update(done);
    assert.equal(moves.length, 101);
    assert.ok(moves.every((text) => text.startsWith('\r')) && moves.at(-1)?.endsWith('\n'));
  });
});
