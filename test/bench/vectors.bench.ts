/**
 * Vector search by graph beside brute force, in process, on the same vectors and queries: what the index's thread does for
 * one question. Recall is counted against brute force.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TopScores } from '../../services/region/scored/scored.ts';
import { similarity, unit } from '../../services/region/state/vectors/cosine.ts';
import { VectorFile } from '../../services/region/state/vectors/vector-file.ts';
import { VectorIndex } from '../../services/region/state/vectors/vector-index.ts';
import { VectorServer } from '../../services/region/state/vectors/vector-server.ts';
import type { Among, FromVectors } from '../../services/region/state/vectors/vector-worker.ts';
import { randomFrom } from '../harness/region/state/vectors/vectors.ts';
import { type Bench, type BenchRow, interleaved, median, timed } from './bench.ts';

const COUNT = 100_000;
const DIMENSIONS = 128;
const QUERIES = 40;
const ROUNDS = 7;
const SEED = 20_261_125;

/** Normally distributed numbers (Box and Muller). */
function normals(seed: number): () => number {
  const random = randomFrom(seed);
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Vectors that lie, but for some noise, in `directions` of the dimensions, as those of a trained model do. */
function structured(seed: number, count: number, directions: number): Float32Array[] {
  const normal = normals(seed);
  const basis = Array.from({ length: directions }, () => Array.from({ length: DIMENSIONS }, normal));
  return Array.from({ length: count }, () => {
    const vector = new Float32Array(DIMENSIONS);
    for (const direction of basis) {
      const share = normal();
      for (let i = 0; i < DIMENSIONS; i++) vector[i]! += share * direction[i]!;
    }
    return vector.map((value) => value + normal() * 0.5);
  });
}

function unstructured(seed: number, count: number): Float32Array[] {
  const normal = normals(seed);
  return Array.from({ length: count }, () => Float32Array.from({ length: DIMENSIONS }, normal));
}

/** One flat array, and the loop that looks at all of it. */
class BruteForce {
  private readonly values: Float32Array;

  constructor(vectors: readonly Float32Array[]) {
    this.values = new Float32Array(vectors.length * DIMENSIONS);
    for (const [i, vector] of vectors.entries()) this.values.set(unit(vector), i * DIMENSIONS);
  }

  nearest(query: Float32Array, limit: number, accept?: (entity: number) => boolean): number[] {
    const direction = unit(query);
    const best = new TopScores(limit);
    for (let entity = 0, at = 0; at < this.values.length; entity++, at += DIMENSIONS) {
      if (accept === undefined || accept(entity)) best.add(entity, similarity(direction, this.values, at));
    }
    return best.sorted().map(({ entity }) => entity);
  }
}

function among(accept: (entity: number) => boolean): Among {
  const words = new Int32Array((COUNT >> 5) + 1);
  let count = 0;
  for (let ordinal = 0; ordinal < COUNT; ordinal++) {
    if (!accept(ordinal)) continue;
    words[ordinal >> 5]! |= 1 << (ordinal & 31);
    count++;
  }
  return { words, count };
}

const ms = (value: number): string => `${value.toFixed(value < 10 ? 3 : 0)} ms`;

function searches(name: string, index: VectorIndex, brute: BruteForce, queries: readonly Float32Array[]): BenchRow[] {
  const cases: readonly (readonly [string, number, ((entity: number) => boolean) | undefined])[] = [
    ['k = 10', 10, undefined],
    ['k = 1,000', 1_000, undefined],
    ['k = 10, a filter that takes 60 %', 10, (entity) => entity % 5 < 3],
    ['k = 10, a filter that takes 5 %', 10, (entity) => entity % 20 === 0],
  ];
  return cases.map(([what, limit, accept]) => {
    const selected = accept === undefined ? undefined : among(accept);
    const run = (search: (query: Float32Array) => unknown) => () => {
      for (const query of queries) search(query);
    };
    const [bruteMs, indexMs] = interleaved(
      [run((query) => brute.nearest(query, limit, accept)), run((query) => index.nearest(query, limit, selected))],
      ROUNDS,
    ).map((rounds) => median(rounds) / queries.length);
    let found = 0;
    for (const query of queries) {
      const hits = new Set(index.nearest(query, limit, selected).hits.map(({ entity }) => entity));
      found += brute.nearest(query, limit, accept).filter((entity) => hits.has(entity)).length;
    }
    const recall = (found / (limit * queries.length)).toFixed(3);
    return {
      what: `${name}, ${what}`,
      cells: [ms(bruteMs!), ms(indexMs!), `${(bruteMs! / indexMs!).toFixed(1)}×`, recall],
    };
  });
}

function build(vectors: readonly Float32Array[], report: (progress: string) => void, name: string) {
  const index = new VectorIndex({ dimensions: DIMENSIONS });
  for (const [entity, vector] of vectors.entries()) index.put(entity, entity, vector);
  const steps: number[] = [];
  let more = true;
  const buildMs = timed(() => {
    while (more) {
      const stepMs = timed(() => {
        more = index.work();
      });
      steps.push(stepMs);
      if (index.graphed % 20_000 === 0) report(`${name}: ${index.graphed} in the graph`);
    }
  });
  const perSecond = Math.round(vectors.length / (buildMs / 1_000));
  steps.sort((a, b) => a - b);
  return { index, perSecond, stepMs: median(steps), longStepMs: steps[Math.floor(steps.length * 0.999)]! };
}

/** What a start costs with the file and without. */
async function restart(vectors: readonly Float32Array[]): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'tidal-bench-')), 'vectors');
  const server = () => {
    const replies: FromVectors[] = [];
    const file = new VectorFile({ path, dimensions: DIMENSIONS });
    const made = new VectorServer({ dimensions: DIMENSIONS, file, reply: (message) => replies.push(message) });
    for (let from = 0; from < vectors.length; from += 1_000) {
      const part = vectors.slice(from, from + 1_000);
      const values = new Float32Array(part.length * DIMENSIONS);
      for (const [i, vector] of part.entries()) values.set(vector, i * DIMENSIONS);
      made.take({
        kind: 'changes',
        ordinals: Uint32Array.from(part, (_, i) => from + i),
        entities: Float64Array.from(part, (_, i) => from + i),
        present: new Uint8Array(part.length).fill(1),
        values,
      });
    }
    made.take({ kind: 'filled' });
    return made;
  };
  try {
    const first = server();
    await first.quiet();
    const buildMs = timed(() => {
      while (first.work());
    });
    const saveFrom = performance.now();
    first.take({ kind: 'save', atMs: 1 });
    await first.quiet();
    const saveMs = performance.now() - saveFrom;
    const bytes = statSync(join(path, 'graph-1')).size + statSync(join(path, 'index')).size;
    const readFrom = performance.now();
    const second = server();
    await second.quiet();
    const readMs = performance.now() - readFrom;
    if (second.counts.graphed !== vectors.length) throw new Error('the file was not taken');
    return (
      `a start without the file builds the graph in ${(buildMs / 1_000).toFixed(1)} s, beside the requests; with it the ` +
      `graph is there ${(readMs / 1_000).toFixed(1)} s after the vectors begin to arrive. The file has ` +
      `${(bytes / 2 ** 20).toFixed(0)} MiB and takes ${(saveMs / 1_000).toFixed(1)} s to write, flushed and digested`
    );
  } finally {
    rmSync(join(path, '..'), { recursive: true, force: true });
  }
}

export const bench: Bench = {
  name: 'vectors',
  title: `Vector search, ${COUNT.toLocaleString('en')} × ${DIMENSIONS}, beside brute force`,
  async run(report) {
    const rows: BenchRow[] = [];
    const notes: string[] = [];
    for (const [name, make] of [
      ['structured', (seed: number, count: number) => structured(seed, count, 24)],
      ['unstructured', unstructured],
    ] as const) {
      // One draw for both: queries lie where the vectors lie.
      const all = make(SEED, COUNT + QUERIES);
      const vectors = all.slice(0, COUNT);
      const built = build(vectors, report, name);
      notes.push(
        `${name}: ${built.perSecond.toLocaleString('en')} vectors/s enter the graph; one step of that work, which questions ` +
          `wait for, takes ${built.stepMs.toFixed(1)} ms, 1 of 1,000 more than ${built.longStepMs.toFixed(1)} ms`,
      );
      rows.push(...searches(name, built.index, new BruteForce(vectors), all.slice(COUNT)));
      if (name === 'structured') {
        report('writing and reading the file');
        notes.push(await restart(vectors));
      }
    }
    return {
      columns: ['brute force', 'index', 'faster', 'recall'],
      rows,
      notes: [
        'structured: 24 directions of 128 and noise of a tenth of their strength, as vectors of a trained model have far ' +
          'fewer directions than dimensions; unstructured: independent normal values, in which nothing is near anything ' +
          'and no graph helps much',
        `seed ${SEED}; medians of ${ROUNDS} rounds of ${QUERIES} queries, interleaved; brute force is one loop over one Float32Array`,
        'a filter that takes few is answered by scanning those, exactly',
        ...notes,
      ],
    };
  },
};
