/**
 * The logs of all regions, read batch by batch: an origin belongs to one region and one epoch, an epoch to one accepting
 * region, sequences run from 1 without gaps, and every region holds the same bytes.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { decodeHeader, splitMessage } from '../../services/region/batch/batch.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { parsePosition, regionOf } from '../../shared/protocol/position.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import type { Cluster } from '../harness/processes/cluster.ts';

interface Origin {
  readonly epoch: number;
  readonly last: number;
  /** Of all its batches, in order. */
  readonly hash: string;
}

/** To be asked of a cluster that has converged. Answers which region accepted in each epoch. */
export async function checkLogs(cluster: Cluster): Promise<ReadonlyMap<number, string>> {
  const accepting = new Map<number, string>();
  const first = new Map<string, Origin>();
  for (const region of cluster.regionNames) {
    const { body } = await cluster.region<RegionStatus>(region, '/internal/status');
    const position = parsePosition(body.durable);
    assert.ok(position !== undefined, `${region} reports no position`);
    for (const [origin, last] of position) {
      const found = await readOrigin(cluster, region, origin);
      assert.equal(found.last, last, `${region}: ${origin} ends at ${found.last}, reported is ${last}`);
      const owner = accepting.get(found.epoch) ?? regionOf(origin);
      assert.equal(regionOf(origin), owner, `epoch ${found.epoch}: ${owner} accepted, and ${origin}`);
      accepting.set(found.epoch, owner);
      if (!first.has(origin)) first.set(origin, found);
      assert.deepEqual(found, first.get(origin), `${region} holds other bytes of ${origin} than the others`);
    }
    assert.deepEqual([...position.keys()].sort(), [...first.keys()].sort(), `${region} holds other origins`);
  }
  return accepting;
}

async function readOrigin(cluster: Cluster, region: string, origin: string): Promise<Origin> {
  const hash = createHash('sha256');
  let epoch: number | undefined;
  let last = 0;
  for await (const batch of batchesOf(cluster, region, origin)) {
    const header = decodeHeader(batch);
    assert.equal(header.origin, origin);
    assert.equal(header.first, last + 1, `${region}: ${origin} has a hole behind ${last}`);
    epoch ??= header.epoch;
    assert.equal(header.epoch, epoch, `${region}: ${origin} belongs to two epochs`);
    last = header.last;
    hash.update(batch);
  }
  assert.ok(epoch !== undefined, `${region}: ${origin} is empty`);
  return { epoch, last, hash: hash.digest('hex') };
}

/** The whole log of an origin in that region. */
export async function* batchesOf(cluster: Cluster, region: string, origin: string): AsyncGenerator<Uint8Array> {
  let last = 0;
  for (;;) {
    const url = `${cluster.regionUrls.get(region)}/internal/log/${origin}?from=${last + 1}`;
    const response = await fetch(url, { headers: internalHeaders, signal: AbortSignal.timeout(20_000) });
    assert.equal(response.status, 200, `${region}: the log of ${origin} from ${last + 1}`);
    const batches = splitMessage(new Uint8Array(await response.arrayBuffer()));
    if (batches.length === 0) return;
    for (const batch of batches) {
      last = decodeHeader(batch).last;
      yield batch;
    }
  }
}
