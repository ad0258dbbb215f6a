/** What a peer's address answers decides only where it is that region's answer: never whose, and never "holds nothing". */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHttpPeerLink } from '../../../../services/region/peers/http-peer-link.ts';
import { createPeers } from '../../../../services/region/peers/polled-peers.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { positionOf } from '../../../../shared/protocol/position.ts';

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

describe('answers of a peer', () => {
  let server: Server;
  let answer = '';
  const link = () =>
    createHttpPeerLink({ region: 'eu-west', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, clock });

  before(async () => {
    server = createServer((_, response) => response.setHeader('content-type', 'application/json').end(answer));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const wrong: readonly [what: string, answer: unknown][] = [
    ['the status of this region itself, behind a copied address', { ...status, region: 'us-east' }],
    ['a status of no region', { ...status, region: undefined }],
    ['something else that is JSON', { ok: true }],
    ['null', null],
    ['a list', []],
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
  ];
  for (const [what, body] of wrong) {
    it(`no status: ${what}`, async () => {
      answer = JSON.stringify(body);
      const peer = link();
      try {
        await assert.rejects(peer.status(), { code: 'no_answer' });
        const peers = createPeers({ clock, links: [peer] });
        await peers.poll();
        assert.equal(peers.views.size, 0, 'to trimmer, repair, readiness and clock check it has never answered');
      } finally {
        await peer.close();
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
        await assert.rejects(peer.snapshot(), { code: 'region' in change ? 'wrong_region' : 'no_answer' });
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
