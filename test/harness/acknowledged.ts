/**
 * What clients were told, and what must therefore be there. Every write goes to an entity of its own counter, so that a
 * lost write and a doubled one are both seen in the sums.
 */
import assert from 'node:assert/strict';
import type { Cluster } from './cluster.ts';

/** What is asked of a cluster, of processes or of containers. */
export type CheckedCluster = Pick<Cluster, 'url' | 'regionNames' | 'get' | 'post' | 'converged'>;

export class Acknowledged {
  /** Sum of acknowledged weights, by entity. */
  readonly sure = new Map<number, number>();
  /** Weights whose outcome nobody was told, by entity: each may count once or not at all. */
  readonly unknown = new Map<number, number>();
  /** Answers that were neither 200 nor an unknown outcome. */
  readonly refused: { readonly status: number; readonly code: unknown }[] = [];
  /** How often each answer came: `200 stream`, `503 no_leader`, or `nothing`. */
  readonly answers = new Map<string, number>();

  get count(): number {
    let total = 0;
    for (const value of this.sure.values()) total += value;
    return total;
  }

  /** Writes one `view` and remembers the outcome. Answers the status; 0 when no answer came. */
  async view(cluster: CheckedCluster, entity: number, url = cluster.url): Promise<number> {
    try {
      const response = await fetch(`${url}/signals`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ entity_id: entity, signal: 'view' }),
        // Above the router's own bound: 10 s in its queue and 10 s for the leader's answer.
        signal: AbortSignal.timeout(25_000),
      });
      const body = (await response.json()) as { code?: unknown; durability?: unknown };
      add(this.answers, `${response.status} ${body.code ?? body.durability}`);
      if (response.status === 200) add(this.sure, entity);
      else if (response.status === 504 || response.status === 500) add(this.unknown, entity);
      else this.refused.push({ status: response.status, code: body.code });
      return response.status;
    } catch {
      add(this.unknown, entity);
      add(this.answers, 'nothing');
      return 0;
    }
  }

  /** Every region shows, for every entity, what was acknowledged, and at most what may have happened besides. */
  async check(cluster: CheckedCluster): Promise<void> {
    const entities = [...new Set([...this.sure.keys(), ...this.unknown.keys()])];
    // Signals may arrive before their item, but only items are shown.
    for (const entity of entities) {
      const put = await cluster.post('/items', { entity_id: entity, metadata: { title: `item ${entity}` } });
      assert.equal(put.status, 200, JSON.stringify(put.body));
    }
    await cluster.converged();
    for (const entity of entities) {
      const sure = this.sure.get(entity) ?? 0;
      const most = sure + (this.unknown.get(entity) ?? 0);
      for (const region of cluster.regionNames) {
        const { status, body } = await cluster.get<{ signals: { view?: { all: number } } }>(
          `/items/${entity}?region=${region}`,
        );
        assert.equal(status, 200, JSON.stringify(body));
        const shown = body.signals.view?.all ?? 0;
        assert.ok(shown >= sure, `${region}: item ${entity} shows ${shown} views, ${sure} were acknowledged: lost`);
        assert.ok(shown <= most, `${region}: item ${entity} shows ${shown} views, at most ${most} were sent: doubled`);
      }
    }
  }
}

function add<K>(map: Map<K, number>, key: K): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
