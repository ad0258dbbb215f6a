/** The graph on disk: used if it is complete, distinguished from everything else, and only an optimisation. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VectorFile } from '../../../../../services/region/state/vectors/vector-file.ts';
import { VectorServer } from '../../../../../services/region/state/vectors/vector-server.ts';
import type { FromVectors } from '../../../../../services/region/state/vectors/vector-worker.ts';
import { needGraphs } from '../../../../harness/region/state/vectors/graphs.ts';
import { bruteForce, vectorsFrom } from '../../../../harness/region/state/vectors/vectors.ts';

const dimensions = 8;
/** So few that a search looks at most of them: what a graph finds is what a scan finds, in whatever order it was built. */
const count = 150;
const vectors = new Map(vectorsFrom(40, count, dimensions).entries());

class Server {
  readonly server: VectorServer;
  readonly replies: FromVectors[] = [];

  constructor(path: string, options: { readonly dimensions?: number } = {}) {
    const size = options.dimensions ?? dimensions;
    this.server = new VectorServer({
      dimensions: size,
      exactLimit: 50,
      file: new VectorFile({ path, dimensions: size }),
      reply: (message) => this.replies.push(message),
    });
  }

  /** Ordinals are given in the order of the map: another one in every process. */
  fill(all: ReadonlyMap<number, Float32Array>): this {
    this.change([...all], 0);
    this.server.take({ kind: 'filled' });
    return this;
  }

  change(changed: readonly (readonly [number, Float32Array | undefined])[], firstOrdinal: number): void {
    const present = changed.map(([, vector]) => vector).filter((vector) => vector !== undefined);
    const values = new Float32Array(present.flatMap((vector) => [...vector]));
    this.server.take({
      kind: 'changes',
      ordinals: Uint32Array.from(changed, (_, index) => firstOrdinal + index),
      entities: Float64Array.from(changed, ([entity]) => entity),
      present: Uint8Array.from(changed, ([, vector]) => Number(vector !== undefined)),
      values,
    });
  }

  async finish(): Promise<this> {
    await this.server.quiet();
    while (this.server.work());
    return this;
  }

  async save(atMs: number): Promise<void> {
    this.server.take({ kind: 'save', atMs });
    await this.server.quiet();
  }

  /** Adds to the graph that are left to do. */
  get toDo(): number {
    const { live, graphed } = this.server.counts;
    return live - graphed;
  }

  nearest(query: Float32Array, limit: number): number[] {
    this.server.take({ kind: 'nearest', id: 1, values: query, limit });
    const answer = this.replies.findLast((message) => message.kind === 'hits');
    assert.ok(answer !== undefined);
    return [...answer.entities];
  }

  logged(): string[] {
    return this.replies.flatMap((reply) =>
      reply.kind === 'log' ? [`${reply.level}: ${reply.message} ${String(reply.fields.error ?? '')}`.trim()] : [],
    );
  }

  savedMs(): number | undefined {
    return this.replies.findLast((reply) => reply.kind === 'saved')?.atMs;
  }
}

function isRight(server: Server, all: ReadonlyMap<number, Float32Array>): void {
  for (const query of vectorsFrom(41, 10, dimensions)) {
    assert.deepEqual(server.nearest(query, 5), bruteForce(all, query, 5));
  }
}

describe('file of the vector index', () => {
  let path: string;

  before(function () {
    needGraphs(this);
  });

  beforeEach(() => {
    path = join(mkdtempSync(join(tmpdir(), 'tidal-vectors-')), 'vectors');
  });

  afterEach(() => {
    rmSync(join(path, '..'), { recursive: true, force: true });
  });

  async function saved(): Promise<void> {
    const server = await new Server(path).fill(vectors).finish();
    await server.save(1_234);
    assert.equal(server.savedMs(), 1_234);
    assert.equal(server.server.counts.unsaved, 0);
    assert.equal(readdirSync(path).length, 2);
  }

  it('a start takes the graph over, and nothing is left to do', async () => {
    await saved();
    const server = new Server(path).fill(new Map([...vectors].reverse()));
    await server.server.quiet();
    assert.deepEqual([server.toDo, server.server.counts.unsaved], [0, 0]);
    assert.equal(server.savedMs(), 1_234);
    assert.deepEqual(server.logged(), ['info: vector index read']);
    isRight(server, vectors);
  });

  it('questions are answered while it is read, and before the vectors are all there', async () => {
    await saved();
    const server = new Server(path);
    server.change([...vectors], 0);
    isRight(server, vectors);
    assert.equal(server.server.work(), false);
    server.server.take({ kind: 'filled' });
    isRight(server, vectors);
    await server.server.quiet();
    isRight(server, vectors);
    assert.equal(server.toDo, 0);
  });

  it('only what differs is added again; vectors removed meanwhile never return', async () => {
    await saved();
    const now = new Map(vectors);
    const others = vectorsFrom(42, 30, dimensions);
    for (let entity = 0; entity < 10; entity++) now.delete(entity);
    for (let entity = 10; entity < 30; entity++) now.set(entity, others[entity - 10]!);
    for (let entity = 1_000; entity < 1_010; entity++) now.set(entity, others[entity - 980]!);
    const server = new Server(path).fill(now);
    await server.server.quiet();
    assert.equal(server.toDo, 30);
    assert.equal(server.server.counts.unsaved, 30 + 30);
    isRight(server, now);
    await server.finish();
    assert.equal(server.toDo, 0);
    isRight(server, now);
  });

  it('a saved graph with deleted vectors is read as such, once and again', async () => {
    const server = await new Server(path).fill(vectors).finish();
    const now = new Map(vectors);
    for (let entity = 100; entity < 120; entity++) {
      now.delete(entity);
      server.change([[entity, undefined]], entity);
    }
    await server.save(1);
    for (let start = 2; start < 5; start++) {
      const next = new Server(path).fill(now);
      await next.server.quiet();
      assert.deepEqual([next.toDo, next.server.counts.deleted], [0, 20]);
      isRight(next, now);
      await next.save(start);
      assert.equal(next.savedMs(), start);
    }
  });

  it('what changes while it is written is right in memory, and after the next start', async () => {
    const server = await new Server(path).fill(vectors).finish();
    server.server.take({ kind: 'save', atMs: 7 });
    const now = new Map(vectors);
    const [other] = vectorsFrom(43, 1, dimensions);
    for (let entity = 0; entity < 40; entity++) {
      now.delete(entity);
      server.change([[entity, undefined]], entity);
      // Some before the graph is frozen, some while it is written, some after it.
      await new Promise((resolve) => setImmediate(resolve));
    }
    now.set(50, other!);
    server.change([[50, other]], 50);
    isRight(server, now);
    await server.server.quiet();
    assert.equal(server.savedMs(), 7);
    await server.finish();
    isRight(server, now);
    const next = new Server(path).fill(now);
    await next.server.quiet();
    isRight(next, now);
    assert.equal(next.server.counts.graphed, count - 41);
  });

  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file);
    bytes[at < 0 ? bytes.length + at : at]! ^= 0x10;
    writeFileSync(file, bytes);
  };
  const graphFile = (): string => join(path, readdirSync(path).find((name) => name.startsWith('graph-'))!);
  const indexFile = (): string => join(path, 'index');
  const harms: readonly (readonly [string, () => void, RegExp])[] = [
    ['a flipped bit in the graph', () => flip(graphFile(), 3_000), /checksum of its graph/],
    ['a flipped bit at the end of the graph', () => flip(graphFile(), -1), /checksum of its graph/],
    ['a graph that is cut short', () => truncateSync(graphFile(), 4_000), /its graph has 4000 bytes/],
    ['a graph that is gone', () => rmSync(graphFile()), /its graph has 0 bytes/],
    ['another file in the place of the graph', () => writeFileSync(graphFile(), 'x'.repeat(100)), /100 bytes/],
    ['a flipped bit in the head', () => flip(indexFile(), 14), /checksum does not fit/],
    ['a flipped bit in the labels', () => flip(indexFile(), 200), /checksum does not fit/],
    ['an index that is cut short', () => truncateSync(indexFile(), 500), /checksum does not fit/],
    ['an empty index', () => truncateSync(indexFile(), 0), /no index/],
    [
      'an alien index',
      () => writeFileSync(indexFile(), 'somebody’s notes, longer than a header is '.repeat(9)),
      /no index/,
    ],
  ];
  for (const [what, harm, why] of harms) {
    it(`${what} is detected, logged, removed, and the graph rebuilt`, async () => {
      await saved();
      harm();
      const server = await new Server(path).fill(vectors).finish();
      assert.equal(server.logged().length, 1);
      assert.match(server.logged()[0]!, why);
      assert.match(server.logged()[0]!, /^warn: vector index on disk unusable, rebuilding/);
      assert.equal(server.savedMs(), undefined);
      assert.deepEqual([server.toDo, server.server.counts.graphed], [0, count]);
      isRight(server, vectors);
      await server.save(9);
      const next = new Server(path).fill(vectors);
      await next.server.quiet();
      assert.equal(next.toDo, 0);
    });
  }

  it('one of other dimensions is not used', async () => {
    await saved();
    const wide = new Map(vectorsFrom(44, 80, 16).entries());
    const server = new Server(path, { dimensions: 16 });
    server.change([...wide], 0);
    server.server.take({ kind: 'filled' });
    await server.finish();
    assert.match(server.logged()[0]!, /it has 8 dimensions, not 16/);
    assert.equal(server.server.counts.graphed, 80);
  });

  it('a process that died while it wrote leaves the former file, and its leftovers are removed by the next write', async () => {
    await saved();
    writeFileSync(join(path, 'graph-9'), 'half a graph');
    writeFileSync(join(path, 'index.tmp'), 'half an index');
    const server = new Server(path).fill(vectors);
    await server.server.quiet();
    assert.equal(server.toDo, 0);
    await server.save(5);
    assert.deepEqual(readdirSync(path).sort(), ['graph-10', 'index']);
  });

  it('where nothing is written the index continues without a file', async () => {
    const server = await new Server(path).fill(vectors).finish();
    writeFileSync(path, 'a file where the directory should be');
    await server.save(3);
    assert.match(server.logged().at(-1)!, /^warn: vector index not written, keeping the former file/);
    assert.equal(server.savedMs(), 0);
    isRight(server, vectors);
  });
});
