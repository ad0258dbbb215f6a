/** Nothing acknowledged is missing, nothing is counted twice, and no two writes were acknowledged with the same position. */
import assert from 'node:assert/strict';
import { covers, parsePosition } from '../../shared/protocol/position.ts';
import type { Acknowledged, CheckedCluster } from '../harness/clients/acknowledged.ts';

/** Every region shows, for every entity, what was acknowledged, and at most what may have happened besides. */
export async function checkAcknowledged(cluster: CheckedCluster, told: Acknowledged): Promise<void> {
  const entities = [...new Set([...told.sure.keys(), ...told.unknown.keys()])];
  if (entities.length === 0) return;
  // Signals may arrive before their item, but only items are shown.
  const items = entities.map((entity) => ({ entity_id: entity, metadata: { title: `item ${entity}` } }));
  const { status, body } = await cluster.post('/items', items);
  assert.equal(status, 200, JSON.stringify(body));
  await cluster.converged();
  for (const entity of entities) {
    const sure = told.sure.get(entity) ?? 0;
    const most = sure + (told.unknown.get(entity) ?? 0);
    for (const region of cluster.regionNames) {
      const answer = await cluster.get<{ signals: { view?: { all: number } } }>(`/items/${entity}?region=${region}`);
      assert.equal(answer.status, 200, `${region}: ${JSON.stringify(answer.body)}`);
      const shown = answer.body.signals.view?.all ?? 0;
      assert.ok(shown >= sure, `${region}: item ${entity} shows ${shown} views, ${sure} were acknowledged: lost`);
      assert.ok(shown <= most, `${region}: item ${entity} shows ${shown} views, at most ${most} were sent: doubled`);
    }
  }
  await checkPlaces(cluster, told);
}

/** Every acknowledged position exists in every region, and was acknowledged for one write. */
async function checkPlaces(cluster: CheckedCluster, told: Acknowledged): Promise<void> {
  const owners = new Map<string, number>();
  for (const { entity, position, replayed } of told.acknowledgements) {
    if (replayed) continue;
    assert.equal(owners.get(position), undefined, `${position} was told for two writes`);
    owners.set(position, entity);
  }
  for (const region of cluster.regionNames) {
    const { body } = await cluster.get<{ position: string }>(`/feed?profile=new&limit=1&region=${region}`);
    const applied = parsePosition(body.position);
    assert.ok(applied !== undefined, `${region} answers no position: ${JSON.stringify(body)}`);
    for (const { position } of told.acknowledgements) {
      const place = parsePosition(position);
      assert.ok(place !== undefined && place.size > 0, `not a position: ${position}`);
      assert.ok(
        covers(applied, place),
        `${region} is at ${body.position} and lacks ${position}, which was acknowledged`,
      );
    }
  }
}
