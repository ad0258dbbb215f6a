/** `explain=true` and the schema's own profiles, over HTTP. */

import assert from 'node:assert/strict';
import { Router } from '@koa/router';
import { addFeedRoute } from '../../../../services/region/http/reads/feed-route.ts';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';
import { createRank } from '../../../../services/region/rank/profile-rank.ts';
import { profiles } from '../../../../services/region/rank/rank.ts';
import { ReadQueue } from '../../../../services/region/read-queue/read-queue.ts';
import { parseSchema } from '../../../../services/region/schema/parse-schema.ts';
import type { ScorePart } from '../../../../services/region/scored/scored.ts';
import { createSearch } from '../../../../services/region/search/fused-search.ts';
import { createTextIndex } from '../../../../services/region/state/text/text-index.ts';
import { BodyBudget } from '../../../../shared/http/body-budget.ts';
import { createHttpApp, type Listening, listen } from '../../../../shared/http/http-server.ts';
import { systemClock as clock, systemRandom as random } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { silentLog as log } from '../../../harness/observe/silent-log.ts';
import { TinyCatalog } from '../../../harness/region/state/tiny-state.ts';
import { atOnce } from '../../../harness/region/text-at-once.ts';

const HOUR_MS = 3_600_000;
const AT_MS = 500_000 * HOUR_MS + HOUR_MS / 2;

const schema = parseSchema(
  `
signals:
  view: { sentiment: positive, half_life: 24h }
  like: { sentiment: positive, half_life: 7d }
  share: { sentiment: positive, half_life: 3d }
  skip: { sentiment: negative, half_life: 24h }
text: { fields: { title: {} } }
embedding: { dimensions: 2 }
profiles:
  seen_and_liked:
    terms:
      - { signal: like, window: 7d, log: true, weight: 2 }
      - { signal: view, velocity: 1h, weight: 3600 }
      - { signal: like, decayed: true, weight: 0.5 }
      - { signal: skip, window: all, weight: -1 }
      - { recency: { half_life: 2h }, weight: 4 }
    gates:
      - { signal: view, window: 24h, min: 2, max: 100 }
      - { max_age: 3d }
    boosts:
      - { filter: "kind:music", factor: 1.5 }
      - { filter: "year<1990", factor: 0.5 }
`,
  'schema.yaml',
);

interface Feed {
  readonly profile: string;
  readonly items: readonly { entity_id: number; score: number; explain?: readonly ScorePart[] }[];
  readonly total_scored: number;
  readonly notes: readonly string[];
}

describe('explained feeds', () => {
  let server: Listening;

  before(async () => {
    const catalog = new TinyCatalog();
    const ledger = catalog.ledgerOf(schema);
    const rank = createRank({
      schema,
      entities: catalog.entities,
      catalog,
      ledger,
      nowMs: () => AT_MS,
    });
    const add = (entity: number, signal: string, weight: number, hoursAgo = 0): void => {
      ledger.add(entity, signal, weight * 1_000, AT_MS - hoursAgo * HOUR_MS);
    };
    catalog.put(1, { kind: 'music', year: 1980 }, AT_MS - 4 * HOUR_MS);
    add(1, 'view', 10);
    add(1, 'like', 99, 0);
    add(1, 'skip', 3, 100);
    catalog.put(2, { kind: 'news' }, AT_MS - 2 * HOUR_MS);
    add(2, 'view', 5, 2);
    // Seen too little, too much, and too old.
    catalog.put(3, {}, AT_MS);
    add(3, 'view', 1);
    catalog.put(4, {}, AT_MS);
    add(4, 'view', 101);
    catalog.put(5, {}, AT_MS - 73 * HOUR_MS);
    add(5, 'view', 50);
    for (const entity of [1, 2, 3]) catalog.embed(entity, [1, entity]);

    const metrics = createMetrics({ process: 'region', name: 'test' });
    const app = createHttpApp({
      log,
      metrics,
      clock,
      random,
      limits: { inFlight: 10, arrivingBodies: 64, answersBytes: 64 * 1024 * 1024 },
    });
    const router = new Router();
    const context = { region: 'test', position: '', lag_events: 0, at: '' };
    const cursors = createCursors({ secrets: () => [''], schemaHash: 'x' });
    const { filterIndex } = catalog;
    const search = createSearch({
      dimensions: 2,
      catalog,
      changes: catalog.changes,
      filterIndex,
      text: createTextIndex({ schema, entities: catalog.entities }),
      vectors: {
        nearest: async (_, answer) => answer([1, 2, 3].map((entity) => ({ entity, similarity: 1 / entity }))),
      },
    });
    const reads = new ReadQueue({ clock, metrics, region: 'test', nextTurn: (action) => setImmediate(action) });
    const bodies = new BodyBudget({ limitBytes: 1, metrics });
    const surface = {
      rank,
      search,
      entities: catalog.entities,
      catalog,
      filterIndex,
      cursors,
      reads,
      bodies,
      maxBodyBytes: 1,
      nowMs: () => AT_MS,
    };
    addFeedRoute(router, surface, {
      context: () => context,
      at: (_, answer) => answer({ atMs: AT_MS, past: false }),
      admit: async () => {},
      requireIndexes: () => {},
      requireCurrentIndexes: () => {},
      ofIndexes: () => atOnce,
      requireClient: () => {},
      mark: () => {},
    });
    app.use(router.routes());
    server = await listen({ app, metrics, maxConnections: 10, host: '127.0.0.1', port: 0, log, clock, random });
  });
  after(() => server.close());

  async function get<T = Feed>(query: string): Promise<{ status: number; body: T }> {
    const answer = await fetch(`${server.url}/feed?${query}`);
    return { status: answer.status, body: (await answer.json()) as T };
  }

  it('a profile of the schema ranks what passes its gates, and only that counts as scored', async () => {
    const { status, body } = await get('profile=seen_and_liked');
    assert.equal(status, 200);
    assert.equal(body.profile, 'seen_and_liked');
    assert.equal(body.total_scored, 2);
    // 1: 2 · log10(1 + 99) = 4; 3600 · 10/3600 = 10; 0.5 · 99 = 49.5; −1 · 3; 4 · 2^(−4/2) = 1: 61.5 · 1.5 · 0.5 = 46.125.
    // (Decayed scores are good to 1e-6.) 2: nothing liked, no view in the last hour; 4 · 2^(−2/2) = 2; no boost fits.
    assert.deepEqual(
      body.items.map(({ entity_id, score }) => [entity_id, Number(score.toFixed(5))]),
      [
        [1, 46.125],
        [2, 2],
      ],
    );
    assert.ok(body.items.every((item) => !('explain' in item)));
    const filtered = await get('profile=seen_and_liked&filter=kind:news&window=1h');
    assert.equal(filtered.body.total_scored, 1);
    assert.deepEqual(filtered.body.notes, ['window has no effect on profile seen_and_liked']);
  });

  it('explain=true shows the terms of a profile of the schema and what each boost added', async () => {
    const { body } = await get('profile=seen_and_liked&explain=true');
    const rounded = body.items[0]!.explain!.map(({ term, value, weight, part }) => [
      term,
      ...[value, weight, part].map((number) => Number(number.toFixed(5))),
    ]);
    assert.deepEqual(rounded, [
      ['log10(1 + like 7d)', 2, 2, 4],
      ['view velocity 1h', 0.00278, 3600, 10],
      ['like decayed', 99, 0.5, 49.5],
      ['skip all', 3, -1, -3],
      ['recency 2h', 0.25, 4, 1],
      ['boost kind:music', 61.5, 0.5, 30.75],
      ['boost year<1990', 92.25, -0.5, -46.125],
    ]);
  });

  it('every profile explains every item of its feed by parts that are value · weight and add up to the score', async () => {
    for (const profile of [...profiles, 'seen_and_liked']) {
      const { status, body } = await get(`profile=${profile}&explain=true&entity_id=1&seed=x`);
      assert.equal(status, 200);
      assert.ok(body.items.length > 0, profile);
      for (const { score, explain = [] } of body.items) {
        assert.ok(explain.length > 0, profile);
        for (const { value, weight, part } of explain) assert.ok(Math.abs(value * weight - part) < 1e-9, profile);
        const sum = explain.reduce((sum, { part }) => sum + part, 0);
        assert.ok(Math.abs(sum - score) <= 1e-12 * Math.max(1, Math.abs(score)), `${profile}: ${sum} is not ${score}`);
      }
    }
  });

  it('an unknown profile is refused with all there are, and explain is true or false', async () => {
    interface Problem {
      readonly code: string;
      readonly hint: string;
      readonly detail: string;
    }
    const unknown = await get<Problem>('profile=seen');
    assert.deepEqual([unknown.status, unknown.body.code], [404, 'unknown_profile']);
    assert.equal(unknown.body.hint, `profiles: ${profiles.join(', ')}, seen_and_liked`);
    const wrong = await get<Problem>('explain=yes');
    assert.deepEqual([wrong.status, wrong.body.code], [400, 'invalid_request']);
    assert.match(wrong.body.detail, /explain must be true or false/);
    assert.equal((await get('explain=false')).body.items[0]!.explain, undefined);
  });
});
