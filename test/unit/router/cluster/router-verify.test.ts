/** Comparing the regions: true of all or not at all, false only at one position under one schema, else null and why. */

import assert from 'node:assert/strict';
import { Fault } from '../../../../shared/errors/errors.ts';
import type { WireWrite } from '../../../../shared/protocol/writes.ts';
import { type ManualClock, settle } from '../../../harness/kernel/manual-clock.ts';
import { type MemoryCluster, memoryCluster } from '../../../harness/router/memory-cluster.ts';
import type { MemoryRegion } from '../../../harness/router/memory-region.ts';

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

  /** Regions that have applied different parts of what is written, and apply more of it between two requests. */
  const growing = (reads: readonly MemoryRegion[], step: () => void): void => {
    for (const region of reads) {
      const status = region.status.bind(region);
      region.status = async () => {
        step();
        return status();
      };
      const countDigest = region.countDigest.bind(region);
      region.countDigest = async (request) => {
        step();
        return countDigest(request);
      };
    }
  };

  it('while writes continue: at a position that all of them pass after the request', async () => {
    accept(5);
    const { usEast, euWest, apSouth } = cluster;
    euWest.peers = [];
    apSouth.peers = [];
    const last = (region: MemoryRegion): number => region.position.get('us-east@aaaaaaaaaa') ?? 0;
    const follow = (region: MemoryRegion, upTo: number): void => {
      // One after another, as they were written.
      while (last(region) < upTo) {
        region.position = new Map([['us-east@aaaaaaaaaa', last(region) + 1]]);
        region.passed();
      }
    };
    growing([usEast], () => accept(1));
    let running = true;
    const next = (): void => {
      if (!running) return;
      accept(1);
      usEast.passed();
      follow(euWest, last(usEast) - 2);
      follow(apSouth, last(usEast) - 7);
      cluster.clock.after(5, next);
    };
    next();
    await cluster.clock.advance(2_000);
    const asked = last(usEast);
    const { converged, position, reason } = await verify();
    running = false;
    assert.equal(converged, true, reason);
    assert.ok(Number(position?.split(':')[1]) >= asked, position ?? '');
  });

  it('writes that end or slow down are not waited for', async () => {
    accept(1);
    await cluster.clock.advance(2_000);
    // A rate that will not last.
    accept(100_000);
    const startMs = cluster.clock.monotonicMs();
    const answer = await verify();
    assert.deepEqual([answer.converged, answer.position], [true, 'us-east@aaaaaaaaaa:100001']);
    assert.ok(cluster.clock.monotonicMs() - startMs <= 1_000);
    accept(100_000);
    let running = true;
    const next = (): void => {
      if (!running) return;
      accept(1);
      for (const region of cluster.regions.values()) region.passed();
      cluster.clock.after(150, next);
    };
    next();
    const slow = await verify();
    running = false;
    assert.equal(slow.converged, true, slow.reason);
  });

  it('waits for one that is behind', async () => {
    accept(1);
    cluster.apSouth.peers = [];
    const answer = cluster.router.verify();
    await cluster.clock.advance(3_000);
    cluster.apSouth.peers = [cluster.usEast];
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
    cluster.euWest.countDigest = async () => {
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
