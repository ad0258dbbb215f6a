/** Search by text and vector, suggestions and related items over real processes: any region, read-your-writes, restarts. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../../shared/errors/errors.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';
import { itWithGraphs } from '../harness/region/state/vectors/graphs.ts';
import { bruteForce, vectorsFrom } from '../harness/region/state/vectors/vectors.ts';

interface Page {
  readonly region: string;
  readonly position: string;
  readonly items: readonly { readonly entity_id: number; readonly explain?: readonly { readonly term: string }[] }[];
  readonly next_cursor: string | null;
  readonly total_matched: number;
}

const ids = ({ items }: Page): number[] => items.map(({ entity_id }) => entity_id);

describe('hybrid search', function () {
  this.timeout(120_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  async function write(path: string, body: unknown): Promise<string> {
    const answer = await cluster.post<{ position: string }>(path, body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.position;
  }

  const metric = async (region: string, name: string): Promise<number> => {
    const { body } = await cluster.region<string>(region, '/metrics');
    return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(body)?.[1]);
  };

  it('every region answers text, vector and both, with what was just written', async () => {
    await write('/items', [
      { entity_id: 1, metadata: { title: 'Blue Train', category: 'jazz' } },
      { entity_id: 2, metadata: { title: 'Night Train to Paris', category: 'crime' } },
      { entity_id: 3, metadata: { title: 'Paris Blues', category: 'jazz' } },
      { entity_id: 4, metadata: { title: 'Silent Movie', category: 'comedy' } },
    ]);
    const position = await write('/embeddings', [
      { entity_id: 1, values: [1, 0, 0, 0] },
      { entity_id: 2, values: [0.9, 0.1, 0, 0] },
      { entity_id: 3, values: [0.5, 0.5, 0, 0] },
      { entity_id: 4, values: [0, 0, 1, 0] },
    ]);
    for (const region of cluster.regionNames) {
      const ask = (body: object) =>
        cluster.post<Page>('/search', { ...body, region, min_position: position, explain: true });
      const byText = await ask({ query: 'paris' });
      assert.equal(byText.status, 200, JSON.stringify(byText.body));
      assert.equal(byText.body.region, region);
      assert.deepEqual(ids(byText.body).sort(), [2, 3]);
      assert.deepEqual(ids((await ask({ vector: [1, 0, 0, 0] })).body), [1, 2, 3, 4]);
      const both = await ask({ query: 'paris', vector: [1, 0, 0, 0] });
      assert.equal(both.body.total_matched, 4);
      const fused = both.body.items.find(({ entity_id }) => entity_id === 2);
      assert.deepEqual(
        fused!.explain!.map(({ term }) => term.replace(/\d+/, 'n')),
        ['rank n by text', 'rank n by vector'],
      );
      const jazz = await ask({ vector: [1, 0, 0, 0], filter: 'category:jazz', limit: 1 });
      assert.deepEqual(ids(jazz.body), [1]);
      const next = await cluster.post<Page>('/search', {
        vector: [1, 0, 0, 0],
        filter: 'category:jazz',
        limit: 1,
        cursor: jazz.body.next_cursor,
      });
      assert.deepEqual(ids(next.body), [3], 'a cursor of one region is taken by another');
      const related = await cluster.get<Page>(`/feed?profile=related&entity_id=1&region=${region}`);
      assert.deepEqual(ids(related.body).slice(0, 2).sort(), [2, 3]);
      const suggested = await cluster.get(`/suggest?prefix=tra&region=${region}&min_position=${position}`);
      assert.equal(suggested.body.region, region);
      assert.deepEqual(suggested.body.suggestions, [{ text: 'train', documents: 2 }]);
    }
  });

  it('without region= the leader answers; while it is away another region does', async () => {
    const asked = await cluster.post<Page>('/search', { vector: [1, 0, 0, 0], limit: 1 });
    assert.equal(asked.body.region, 'us-east');
    await cluster.kill('us-east');
    const other = await cluster.post<Page>('/search', { vector: [1, 0, 0, 0], limit: 1 });
    assert.equal(other.status, 200, JSON.stringify(other.body));
    assert.notEqual(other.body.region, 'us-east');
    const away = await cluster.post<Problem>('/search', { vector: [1, 0, 0, 0], region: 'us-east' });
    assert.deepEqual([away.status, away.body.code], [503, 'region_unreachable']);
    await cluster.restart('us-east');
    await cluster.settled();
  });

  it('what is wrong is refused, by the router or the region, by name', async () => {
    for (const [body, code, status] of [
      [{}, 'invalid_request', 400],
      [{ vector: [1, 2] }, 'wrong_dimensions', 400],
      [{ query: 'a', colour: 1 }, 'unknown_field', 400],
      [{ query: 'a', region: 'atlantis' }, 'unknown_region', 404],
      [{ query: 'a', region: 7 }, 'invalid_request', 400],
      ['{"query":', 'invalid_json', 400],
      [[], 'invalid_request', 400],
    ] as const) {
      const answer = await cluster.post<Problem>('/search', body);
      assert.deepEqual([answer.status, answer.body.code], [status, code], JSON.stringify(body));
    }
    const parameter = await cluster.post<Problem>('/search?limit=3', { query: 'a' });
    assert.deepEqual([parameter.status, parameter.body.code], [400, 'invalid_request']);
    assert.match(parameter.body.detail, /limit is not a parameter of POST \/search/);
  });

  it('after kill -9 filters, texts and suggestions are answered as before, from indexes that threads built of many items', async () => {
    const region = 'ap-south';
    // More metadata than is indexed item by item.
    const padding = Array.from({ length: 90 }, (_, word) => `filling${word}`).join(' ');
    const many = Array.from({ length: 3_000 }, (_, index) => ({
      entity_id: 20_000 + index,
      metadata: {
        title: `volume ${index} “naïve” ${index % 7 === 0 ? 'rare' : 'common'}`,
        description: padding,
        category: `shelf-${index % 5}`,
        year: 1900 + (index % 120),
      },
    }));
    for (let from = 0; from < many.length; from += 500) await write('/items', many.slice(from, from + 500));
    await write('/items', [{ entity_id: 20_001, metadata: { title: 'another rare volume', category: 'shelf-9' } }]);
    const deleted = await fetch(`${cluster.url}/items/20007`, { method: 'DELETE' });
    assert.equal(deleted.status, 200);
    await cluster.converged();
    const ask = async (): Promise<unknown[]> => {
      const answers: unknown[] = [];
      for (const path of [
        '/search?query=rare&filter=category:shelf-1&limit=50',
        '/search?query=title:volume%20-common&filter=year>=1950&limit=50',
        '/search?query=na%C3%AFve&limit=50',
        '/search?query=vol*&filter=category:shelf-9',
        '/feed?profile=new&filter=category:shelf-2&max_per=year:1&limit=50',
      ]) {
        const { status, body } = await cluster.get<Page>(`${path}&region=${region}`);
        assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
        answers.push([path, ids(body), body.total_matched]);
      }
      const { status, body } = await cluster.get(`/suggest?prefix=fill&limit=5&region=${region}`);
      assert.equal(status, 200, JSON.stringify(body));
      return [...answers, body.suggestions];
    };
    const before = await ask();
    const { length } = cluster.process(region).lines;
    await cluster.kill(region);
    await cluster.restart(region);
    await cluster.settled();
    const complete = (): string | undefined =>
      cluster
        .process(region)
        .lines.slice(length)
        .findLast((line) => line.includes('filters and search ready'));
    await eventually('its indexes are whole', () => complete() !== undefined, 30_000);
    assert.match(complete()!, /one_by_one"?[=:]\s*0\b/);
    assert.deepEqual(await ask(), before);
    await write('/items', [{ entity_id: 20_014, metadata: { title: 'a rare one', category: 'shelf-1' } }]);
    await cluster.converged();
    const { body } = await cluster.get<Page>(`/search?query=rare&filter=category:shelf-1&limit=200&region=${region}`);
    assert.ok(ids(body).includes(20_014));
  });

  itWithGraphs(
    'a graph is built beside the requests, kept over a stop, rebuilt when it was damaged, and gone vectors stay gone',
    async () => {
      const vectors = new Map(vectorsFrom(80, 6_000, 4).map((values, index) => [1_000 + index, values]));
      const all = [...vectors];
      for (let from = 0; from < all.length; from += 2_000) {
        const part = all.slice(from, from + 2_000);
        await write(
          '/items',
          part.map(([entity_id]) => ({ entity_id, metadata: { category: entity_id % 2 === 0 ? 'even' : 'odd' } })),
        );
        await write(
          '/embeddings',
          part.map(([entity_id, values]) => ({ entity_id, values: [...values] })),
        );
      }
      for (const entity of [1, 2, 3, 4]) vectors.set(entity, new Float32Array(4));
      const region = 'eu-west';
      const queries = vectorsFrom(81, 20, 4);
      const recall = async (): Promise<number> => {
        let found = 0;
        for (const query of queries) {
          const { status, body } = await cluster.post<Page>('/search', { vector: [...query], limit: 14, region });
          assert.equal(status, 200);
          const mine = ids(body).filter((entity) => entity >= 1_000);
          assert.ok(
            mine.every((entity) => vectors.has(entity)),
            'a vector that is gone came back',
          );
          found += bruteForce(vectors, query, 10).filter((entity) => mine.includes(entity)).length;
        }
        return found / (10 * queries.length);
      };
      await cluster.converged();
      assert.ok((await recall()) >= 0.95);
      await eventually(
        'the graph is complete',
        async () => (await metric(region, 'tidal_vectors_in_graph')) >= 6_000,
        60_000,
      );
      assert.ok((await recall()) >= 0.95);

      const logged = (text: string): boolean => cluster.process(region).lines.some((line) => line.includes(text));
      const directory = join(cluster.directory, region, 'vectors');
      assert.equal(await cluster.process(region).end('SIGTERM'), 0);
      assert.ok(existsSync(join(directory, 'index')));
      const deleted = await fetch(`${cluster.url}/items/1500`, { method: 'DELETE' });
      assert.equal(deleted.status, 200);
      vectors.delete(1_500);
      await cluster.restart(region);
      await cluster.settled();
      await cluster.converged();
      await eventually('it is read', async () => (await metric(region, 'tidal_vectors_in_graph')) >= 5_999, 30_000);
      await eventually('it says so', () => logged('vector index read'));
      assert.ok((await recall()) >= 0.95);

      assert.equal(await cluster.process(region).end('SIGTERM'), 0);
      const graph = join(directory, readdirSync(directory).find((name) => name.startsWith('graph-'))!);
      const bytes = readFileSync(graph);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(graph, bytes);
      await cluster.restart(region);
      await cluster.settled();
      assert.ok((await recall()) >= 0.95);
      await eventually(
        'it is built anew',
        async () => (await metric(region, 'tidal_vectors_in_graph')) >= 5_999,
        60_000,
      );
      await eventually('it says why', () => logged('vector index on disk unusable'));
      assert.ok((await recall()) >= 0.95);
    },
  );
});
