/** Comparing the regions: true of all or not at all, false only at one position under one schema, else null and why. */

import assert from 'node:assert/strict';
import { Fault } from '../../../../shared/errors/errors.ts';
import { positionOf } from '../../../../shared/protocol/position.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { oldOrigins } from '../../../harness/region/old-origins.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';

const write: WireWrite = { k: 'd', e: 1 };

describe('verification', () => {
  let cluster: MemoryCluster<ManualClock>;
  beforeEach(async () => {
    cluster = memoryCluster();
    cluster.router.start();
    await settle();
  });
  afterEach(async () => {
    cluster.router.drain();
    await cluster.clock.run(cluster.router.close());
  });
  const verify = () => cluster.clock.run(cluster.router.verify());
  const accept = (count: number): void => {
    for (let index = 0; index < count; index += 1) cluster.usEast.accept(write);
  };

  it('at rest: converged at the present position, one digest a region, in topology order', async () => {
    accept(3);
    const position = 'us-east@aaaaaaaaaa:3';
    const { took_ms, ...answer } = await verify();
    assert.deepEqual(answer, {
      converged: true,
      position,
      digests: Object.fromEntries(['us-east', 'eu-west', 'ap-south'].map((name) => [name, `digest of ${position}`])),
    });
    assert.deepEqual(Object.keys(answer.digests), ['us-east', 'eu-west', 'ap-south']);
    assert.ok(took_ms >= 0);
  });

  it('two digests at one position: not converged, and who has which', async () => {
    accept(3);
    cluster.apSouth.digestOf = () => 'another';
    const { converged, position, digests } = await verify();
    assert.equal(converged, false);
    assert.equal(position, 'us-east@aaaaaaaaaa:3');
    assert.equal(digests['ap-south'], 'another');
    assert.match((await cluster.metrics.render()).text, /verifications_total\{outcome="diverged"[^}]*\} 1/);
  });

  it('while writes continue: at the newest position that all of them recorded', async () => {
    const noted = (last: number) => ({
      position: new Map([['us-east@aaaaaaaaaa', last]]),
      digest: `digest of ${last}`,
    });
    const answers: Record<string, number[]> = { 'us-east': [9, 7, 5, 3], 'eu-west': [7, 5, 3], 'ap-south': [8, 5, 3] };
    for (const region of cluster.regions.values()) {
      region.digests = async () => ({
        region: region.region,
        schemaHash: '0',
        counting: false,
        kept: (answers[region.region] ?? []).map(noted),
      });
    }
    const { converged, position } = await verify();
    assert.deepEqual([converged, position], [true, 'us-east@aaaaaaaaaa:5']);
  });

  it('of positions sent as differences to their successors as well, though a region sends them otherwise', async () => {
    const x = 'us-east@aaaaaaaaaa';
    const y = 'eu-west@bbbbbbbbbb';
    accept(3);
    const old = oldOrigins().map(({ origin, last }) => `${origin}:${last}`);
    const token = (atX: number, atY: number): string =>
      [...old, `${x}:${atX}`, ...(atY === 0 ? [] : [`${y}:${atY}`])].sort().join(',');
    const at = (position: string) => ({ position: positionOf(position), digest: `digest of ${position}` });
    const step = (origin: string, sequence: number, position: string) => ({
      origin,
      sequence,
      digest: `digest of ${position}`,
    });
    const replies = {
      'us-east': {
        kept: [at(token(9, 4))],
        former: [step(y, 0, token(9, 0)), step(x, 6, token(6, 0)), step(x, 3, token(3, 0)), step(x, 2, token(2, 0))],
      },
      'eu-west': { kept: [at(token(7, 0))], former: [step(x, 6, token(6, 0)), step(x, 3, token(3, 0))] },
      'ap-south': { kept: [at(token(6, 8)), at(token(6, 0)), at(token(3, 0))] },
    };
    for (const region of cluster.regions.values()) {
      const reply = replies[region.region as keyof typeof replies];
      region.digests = async () => ({ region: region.region, schemaHash: '0', counting: false, ...reply });
    }
    const { converged, position } = await verify();
    assert.deepEqual([converged, position], [true, token(6, 0)]);
  });

  it('collects what they note until there is such a position', async () => {
    accept(1);
    cluster.euWest.peers = [];
    cluster.apSouth.peers = [];
    const answer = cluster.router.verify();
    await cluster.clock.advance(1_000);
    cluster.apSouth.peers = [cluster.usEast];
    await cluster.clock.advance(1_000);
    // The last one arrives where the others have been, and are no more.
    cluster.euWest.position = new Map([['us-east@aaaaaaaaaa', 1]]);
    await cluster.clock.advance(300);
    accept(1);
    const { converged, position } = await cluster.clock.run(answer);
    assert.deepEqual([converged, position], [true, 'us-east@aaaaaaaaaa:1']);
  });

  it('an old position in common says nothing about what was there when it was asked', async () => {
    accept(1);
    assert.equal((await verify()).position, 'us-east@aaaaaaaaaa:1');
    accept(1);
    cluster.euWest.peers = [];
    assert.equal((await verify()).converged, null);
    cluster.euWest.peers = [cluster.usEast];
    assert.equal((await verify()).position, 'us-east@aaaaaaaaaa:2');
  });

  it('no position in common within 5 s: null, and the position of each', async () => {
    accept(2);
    cluster.apSouth.peers = [];
    const startMs = cluster.clock.monotonicMs();
    const answer = await verify();
    assert.deepEqual([answer.converged, answer.position, answer.digests], [null, null, {}]);
    assert.match(answer.reason ?? '', /no position in common within 5 s \(us-east at us-east@aaaaaaaaaa:2/);
    assert.match(answer.reason ?? '', /ap-south at the beginning/);
    const tookMs = cluster.clock.monotonicMs() - startMs;
    assert.ok(tookMs >= 5_000 && tookMs < 6_000, String(tookMs));
  });

  it('waits for a region that counts, at most 30 s', async () => {
    accept(2);
    cluster.euWest.counting = true;
    const answer = cluster.router.verify();
    await cluster.clock.advance(12_000);
    cluster.euWest.counting = false;
    assert.equal((await cluster.clock.run(answer)).converged, true);
    cluster.euWest.counting = true;
    const startMs = cluster.clock.monotonicMs();
    const late = await verify();
    assert.deepEqual([late.converged, late.reason], [null, 'eu-west is still counting its state']);
    assert.ok(cluster.clock.monotonicMs() - startMs <= 31_000);
  });

  it('is never true of a part: partitioned and unreachable regions are named, the others compared', async () => {
    accept(1);
    await cluster.clock.run(cluster.router.drills.partition('ap-south'));
    const { converged, digests, reason } = await verify();
    assert.equal(converged, null);
    assert.deepEqual(Object.keys(digests), ['us-east', 'eu-west']);
    assert.equal(reason, 'not all regions were compared: ap-south is partitioned');
    cluster.euWest.state = 'no_answer';
    assert.match((await verify()).reason ?? '', /eu-west does not answer, ap-south is partitioned/);
    cluster.usEast.state = 'not_sent';
    const nobody = await verify();
    assert.deepEqual([nobody.converged, nobody.position], [null, null]);
  });

  it('but two that differ are still reported', async () => {
    accept(1);
    await cluster.clock.run(cluster.router.drills.partition('ap-south'));
    cluster.euWest.digestOf = () => 'another';
    assert.equal((await verify()).converged, false);
  });

  it('a region that stops answering on the way is named', async () => {
    accept(1);
    cluster.euWest.digests = async () => {
      throw new Fault('no_answer', 'eu-west was killed');
    };
    assert.match((await verify()).reason ?? '', /eu-west does not answer: eu-west was killed/);
  });

  it('digests under different schemas are not compared', async () => {
    accept(1);
    cluster.euWest.schemaHash = '1';
    cluster.euWest.digestOf = () => 'another';
    const { converged, reason } = await verify();
    assert.equal(converged, null);
    assert.match(reason ?? '', /different schemas/);
  });
});
