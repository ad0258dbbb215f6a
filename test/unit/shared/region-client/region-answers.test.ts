/**
 * What a region's address answers decides only where it is that region's answer: never whose, and never "holds nothing". Routers and
 * peers read it through one client.
 */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpPeerLink } from '../../../../services/region/peers/http-peer-link.ts';
import { createHttpRegionLink } from '../../../../services/router/links/http-region-link.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { positionOf } from '../../../../shared/protocol/position.ts';
import { StatusPoller } from '../../../../shared/region-client/status-poller.ts';
import { memoryCluster } from '../../../harness/router/memory-cluster.ts';

const status = {
  region: 'eu-west',
  role: 'follower',
  ready: true,
  partitioned: false,
  durable: 'us-east@aaaaaaaaaa:500',
  applied: 'us-east@aaaaaaaaaa:500',
  offset: 1,
  streamConnected: true,
  unshipped: 0,
  items: 0,
  clockMs: 1,
  newestMs: 1,
  schemaHash: '0',
  signals: ['view'],
};

describe('answers of a region', () => {
  let server: Server;
  let answer = '';
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = () => createHttpPeerLink({ region: 'eu-west', url: url(), clock });

  before(async () => {
    server = createServer((_, response) => response.setHeader('content-type', 'application/json').end(answer));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const foreign: readonly [what: string, answer: unknown][] = [
    ['the status of this region itself, behind a copied address', { ...status, region: 'us-east' }],
    ['a status of no region', { ...status, region: undefined }],
    ['something else that is JSON', { ok: true }],
    ['null', null],
    ['a list', []],
  ];
  const malformed: typeof foreign = [
    ['not JSON', 'hello'],
    ['half of it', JSON.stringify(status).slice(0, 100)],
    ['a position that is not one', { ...status, durable: 'e,v:i:1' }],
    ['an applied position that is not one', { ...status, applied: 'us-east' }],
    ['no position', { ...status, durable: undefined }],
    ['a position that is a number', { ...status, durable: 5 }],
    ['a clock that is a text', { ...status, clockMs: 'noon' }],
    ['a flag that is a text', { ...status, partitioned: 'no' }],
    ['signals that are no names', { ...status, signals: [1] }],
    ['a stop without a reason', { ...status, stopped: true }],
    ['a quarantine that is a list', { ...status, quarantined: [] }],
    ['a leadership record that is none', { ...status, leadership: 'eu-west' }],
    ['an epoch that is no number', { ...status, leadership: { leader: 'eu-west', epoch: '2', nonce: 'n' } }],
    ['events of an epoch that are no number', { ...status, newestEpoch: { epoch: 1, events: 'many' } }],
  ];
  const wrong = [
    ...foreign.map(([what, body]) => [what, body, 'wrong_region'] as const),
    ...malformed.map(([what, body]) => [what, body, 'malformed_answer'] as const),
  ];
  for (const [what, body, code] of wrong) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    it(`no status, to a peer: ${what}`, async () => {
      answer = text;
      const peer = link();
      try {
        await assert.rejects(peer.status(), { code });
        const peers = new StatusPoller({ clock, clients: [peer], pace: 'rounds' });
        await peers.poll();
        assert.equal(peers.views.size, 0, 'to trimmer, repair, readiness and clock check it has never answered');
      } finally {
        await peer.close();
      }
    });

    it(`no status, to a router: ${what}`, async () => {
      const cluster = memoryCluster();
      const entry = { name: 'eu-west', url: url() };
      const router = createHttpRegionLink({ entry, clock, router: 'r1' });
      cluster.euWest.status = () => router.status();
      try {
        await cluster.router.leadership.refresh();
        answer = JSON.stringify(status);
        assert.deepEqual((await cluster.router.reports.health()).notes, []);
        answer = text;
        const { notes, regions } = await cluster.router.reports.health();
        assert.equal(regions.reachable, 2);
        const said =
          code === 'wrong_region' ? /^the address of eu-west answers as the region / : /^eu-west (reported|answered)/;
        assert.match(notes.join('; '), said);
        const report = (await cluster.router.reports.status()).regions.find(({ name }) => name === 'eu-west');
        assert.deepEqual([report?.reachable, report?.applied_events], [false, 500], 'the last known numbers');
      } finally {
        await router.close();
      }
    });
  }

  it('a status that is one is taken', async () => {
    answer = JSON.stringify(status);
    const peer = link();
    assert.equal((await peer.status()).region, 'eu-west');
    await peer.close();
  });

  const info = {
    id: 'abcdefg234567',
    region: 'eu-west',
    bytes: 10,
    sha256: 'a'.repeat(64),
    position: '',
    schemaHash: '0',
  };
  for (const [what, change] of [
    ['of another region', { region: 'us-east' }],
    ['at a position that is not one', { position: 'x' }],
    ['with an id that is a path', { id: '../../etc' }],
    ['of no size', { bytes: 0 }],
    ['without a digest', { sha256: '' }],
  ] as const) {
    it(`no snapshot: one ${what}`, async () => {
      const peer = link();
      try {
        answer = JSON.stringify(info);
        assert.equal((await peer.snapshot()).id, info.id);
        answer = JSON.stringify({ ...info, ...change });
        await assert.rejects(peer.snapshot(), { code: 'region' in change ? 'wrong_region' : 'malformed_answer' });
      } finally {
        await peer.close();
      }
    });
  }

  const counted = { region: 'eu-west', schemaHash: '0', applied: '', position: '', digest: '0' };
  for (const [what, change] of [
    ['of another region', { region: 'us-east' }],
    ['at a position that is not one', { position: 'x' }],
    ['without the position', { position: undefined }],
    ['that has not said how far the region is', { applied: undefined }],
    ['that is no text', { digest: 5 }],
  ] as const) {
    it(`no digest: one ${what}`, async () => {
      const entry = { name: 'eu-west', url: url() };
      const peer = createHttpRegionLink({ entry, clock, router: 'r1' });
      const request = { id: 'i', covering: new Map() };
      try {
        answer = JSON.stringify(counted);
        assert.equal((await peer.countDigest(request)).digest, '0');
        answer = JSON.stringify({ ...counted, ...change });
        await assert.rejects(peer.countDigest(request), {
          code: 'region' in change ? 'wrong_region' : 'malformed_answer',
        });
      } finally {
        await peer.close();
      }
    });
  }

  it('a token that is no position is never read as the position before everything', () => {
    assert.throws(() => positionOf('garbage'), { code: 'no_position' });
    assert.equal(positionOf('').size, 0);
  });
});
