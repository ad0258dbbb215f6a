/** Reads from any region: own writes by position, fixed read times, and what is found right after it was written. */
import assert from 'node:assert/strict';
import { Cluster } from '../harness/processes/cluster.ts';

interface Page {
  readonly region: string;
  readonly at: string;
  readonly position: string;
  readonly items: readonly { readonly entity_id: number; readonly rank: number }[];
  readonly next_cursor: string | null;
  readonly relaxed: readonly string[];
}

describe('reads', function () {
  this.timeout(60_000);
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.stop());

  const write = async (path: string, body: unknown): Promise<string> => {
    const answer = await cluster.post<{ position: string }>(path, body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.position;
  };
  const ids = ({ items }: Page): number[] => items.map(({ entity_id }) => entity_id);

  it('with min_position a follower shows what was just written, every time', async () => {
    for (let entity = 1; entity <= 20; entity++) {
      const position = await write('/items', { entity_id: entity, metadata: { title: `Saxophone ${entity}` } });
      const region = entity % 2 === 0 ? 'eu-west' : 'ap-south';
      const item = await cluster.get(`/items/${entity}?region=${region}&min_position=${position}`);
      assert.equal(item.status, 200);
      const { body } = await cluster.get<Page>(
        `/search?query=saxophone&limit=200&region=${region}&min_position=${position}`,
      );
      assert.equal(body.region, region);
      assert.ok(ids(body).includes(entity), 'the first search after it was applied finds it');
    }
  });

  it('pages continue in another region, each item once, and end with the rest', async () => {
    const kinds = ['reed', 'reed', 'reed', 'reed', 'brass', 'string'];
    let position = '';
    for (const [index, kind] of kinds.entries()) {
      position = await write('/items', {
        entity_id: 40 + index,
        metadata: { title: `Paged ${index}`, kind, paged: true },
      });
    }
    for (const query of ['/feed?profile=new&', '/search?query=paged&']) {
      const seen: number[] = [];
      const relaxed: (readonly string[])[] = [];
      let cursor = '';
      for (const region of ['us-east', 'eu-west', 'ap-south']) {
        const { status, body } = await cluster.get<Page>(
          `${query}filter=paged:true&max_per=kind:1&limit=2&region=${region}&min_position=${position}${cursor}`,
        );
        assert.equal(status, 200, JSON.stringify(body));
        assert.deepEqual(
          body.items.map(({ rank }) => rank),
          [seen.length + 1, seen.length + 2],
        );
        seen.push(...ids(body));
        relaxed.push(body.relaxed);
        assert.equal(body.next_cursor === null, seen.length === kinds.length);
        cursor = `&cursor=${body.next_cursor}`;
      }
      assert.deepEqual([...new Set(seen)].sort(), [40, 41, 42, 43, 44, 45]);
      // There are others at first; of the most frequent kind are the last two.
      assert.deepEqual([relaxed[0], relaxed[2]], [[], ['max_per=kind:1']]);
      const edited = await cluster.get(`${query}filter=paged:true&max_per=kind:1&limit=2${cursor}x`);
      assert.deepEqual([edited.status, edited.body.code], [400, 'invalid_request']);
    }
  });

  it('the position of a read is taken back, also with very many origins', async () => {
    await write('/items', { entity_id: 30, metadata: { title: 'Thirty' } });
    const { body } = await cluster.get<Page>('/feed?limit=1');
    const letters = (index: number): string =>
      'abcdefghij'.charAt(index % 10) + 'abcdefghij'.charAt(Math.floor(index / 10) % 10);
    const origins = Array.from(
      { length: 400 },
      (_, index) => `us-east@aaaaaaaaa${letters(index)}${letters(index / 100)}:0`,
    );
    assert.equal(new Set(origins).size, 400);
    const token = [body.position, ...origins].join(',');
    assert.ok(token.length > 9_000);
    const again = await cluster.get(`/feed?limit=1&region=eu-west&min_position=${token}`);
    assert.equal(again.status, 200, JSON.stringify(again.body));
  });

  it('a region that does not get there in 2 s says so; what is no position is refused', async () => {
    await cluster.post('/cluster/partition', { region: 'ap-south' });
    const position = await write('/items', { entity_id: 21, metadata: { title: 'Trombone' } });
    const late = await cluster.get(`/items/21?region=ap-south&min_position=${position}`);
    assert.deepEqual([late.status, late.body.code], [504, 'position_not_reached']);
    await cluster.post('/cluster/heal', { region: 'ap-south' });
    assert.equal((await cluster.get(`/items/21?region=ap-south&min_position=${position}`)).status, 200);
    const bad = await cluster.get('/feed?min_position=soon');
    assert.deepEqual([bad.status, bad.body.code], [400, 'invalid_request']);
  });

  it('at fixes the time for which windows are summed, in feeds and for one item', async () => {
    const timestamp = '2026-01-01T00:00:00Z';
    const position = await write('/signals', { entity_id: 1, signal: 'view', weight: 7, timestamp });
    interface Item {
      readonly at: string;
      readonly signals: { readonly view: Readonly<Record<string, number>> };
    }
    const then = await cluster.get<Item>(`/items/1?at=2026-01-01T00:30:00Z&min_position=${position}`);
    assert.equal(then.body.at, '2026-01-01T00:30:00.000Z');
    assert.equal(then.body.signals.view['1h'], 7);
    const now = await cluster.get<Item>('/items/1');
    assert.equal(now.body.signals.view['1h'], 0);
    assert.equal(now.body.signals.view.all, 7);
    const { body } = await cluster.get<Page>('/feed?profile=top&window=1h&limit=1&at=2026-01-01T00:30:00Z');
    assert.deepEqual(ids(body), [1]);
  });

  it('related items are the nearest by embedding and by words, in every region alike', async () => {
    const embedding = (entity: number, values: number[]) => write('/embeddings', { entity_id: entity, values });
    await embedding(1, [1, 0, 0, 0]);
    await embedding(2, [0.9, 0.1, 0, 0]);
    await embedding(3, [0, 1, 0, 0]);
    const position = await embedding(4, [0.5, 0.5, 0, 0]);
    const answers: number[][] = [];
    for (const region of cluster.regionNames) {
      const path = `/feed?profile=related&entity_id=1&limit=3&region=${region}&min_position=${position}`;
      const { status, body } = await cluster.get<Page>(path);
      assert.equal(status, 200);
      answers.push(ids(body));
    }
    const [first] = answers;
    // By embedding 2 is first, and no others have one; what words add is the same everywhere.
    assert.equal(first![0], 2);
    assert.deepEqual([...first!].sort(), [2, 3, 4]);
    for (const answer of answers) assert.deepEqual(answer, first);
  });

  it('a profile of the schema ranks in every region alike, and explains its scores', async () => {
    const signals = ['view', 'view', 'view', 'like', 'share'].map((signal) => ({ entity_id: 22, signal }));
    await write('/items', { entity_id: 22, metadata: { title: 'Clarinet' } });
    const position = await write('/signals', signals);
    interface Explained {
      readonly total_scored: number;
      readonly items: readonly {
        readonly entity_id: number;
        readonly score: number;
        readonly explain: readonly { readonly term: string; readonly part: number }[];
      }[];
    }
    const now = Date.now();
    const answers: Explained['items'][] = [];
    for (const region of cluster.regionNames) {
      const path = `/feed?profile=fresh_favourites&explain=true&at=${now}&region=${region}&min_position=${position}`;
      const { status, body } = await cluster.get<Explained>(path);
      assert.equal(status, 200);
      // The only item that three have seen this week.
      assert.deepEqual([body.total_scored, body.items.map(({ entity_id }) => entity_id)], [1, [22]]);
      answers.push(body.items);
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const [{ score, explain }] = answers[0] as [Explained['items'][number]];
    assert.deepEqual(
      explain.map(({ term }) => term),
      ['log10(1 + like decayed)', 'log10(1 + share 7d)', 'log10(1 + skip 7d)', 'recency 7d'],
    );
    assert.ok(Math.abs(explain.reduce((sum, { part }) => sum + part, 0) - score) < 1e-12);
    const refused = await cluster.get('/feed?profile=stale_favourites');
    assert.deepEqual([refused.status, refused.body.code], [404, 'unknown_profile']);
  });

  it('a deleted item is missing from the next read of every kind; put again, it shows its history', async () => {
    const deleted = await fetch(`${cluster.url}/items/1`, { method: 'DELETE' });
    const { position } = (await deleted.json()) as { position: string };
    for (const region of cluster.regionNames) {
      const where = `region=${region}&min_position=${position}`;
      assert.equal((await cluster.get(`/items/1?${where}`)).status, 404);
      assert.ok(!ids((await cluster.get<Page>(`/feed?profile=new&limit=200&${where}`)).body).includes(1));
      assert.ok(!ids((await cluster.get<Page>(`/search?query=saxophone&limit=200&${where}`)).body).includes(1));
      assert.equal((await cluster.get(`/feed?profile=related&entity_id=1&${where}`)).body.code, 'unknown_item');
    }
    await write('/items', { entity_id: 1, metadata: { title: 'Back' } });
    const { body } = await cluster.get<{ signals: { view: { all: number } } }>('/items/1');
    assert.equal(body.signals.view.all, 7);
  });
});
