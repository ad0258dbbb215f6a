/** The listener with TLS: the limits of connections hold, handshakes end, and replaced certificates are used. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Router } from '@koa/router';
import { type Issued, issue, newAuthority } from '../../../../deploy/tidal/certificates/issue.ts';
import type { CertificateSet } from '../../../../shared/certificates/certificate-watch.ts';
import { createHttpApp, type Listening, listen } from '../../../../shared/http/http-server.ts';
import { systemClock, systemRandom } from '../../../../shared/kernel/system.ts';
import { createMetrics, type Metrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

const MAX_CONNECTIONS = 16;
const MAX_ADDRESS_CONNECTIONS = 20;
/** A client that says nothing is waited for this long: one test does. */
const ARRIVAL_MS = 4_000;

describe('the listener with TLS', function () {
  this.timeout(30_000);
  const validity = { nowMs: Date.now(), days: 1 };
  const authority = newAuthority('test', validity);
  const issued = (): Issued => issue(authority, { name: 'server', hosts: ['127.0.0.1'], sides: ['server'] }, validity);
  const setOf = ({ cert, key }: Issued): CertificateSet => ({ cert, key, expiresMs: Date.now() });
  let server: Listening;
  let metrics: Metrics;
  let replaced = (): void => {};
  const certificates = {
    current: setOf(issued()),
    onReplaced: (listener: () => void) => {
      replaced = listener;
    },
  };
  const sockets: Socket[] = [];

  beforeEach(async () => {
    metrics = createMetrics({ process: 'region', name: 'a' });
    const ground = { log: silentLog, metrics, clock: systemClock, random: systemRandom };
    const app = createHttpApp({ ...ground, limits: { inFlight: 8, arrivingBodies: 8, answersBytes: 1024 * 1024 } });
    const router = new Router();
    router.get('/things', (ctx) => {
      ctx.body = { things: [] };
    });
    app.use(router.routes());
    server = await listen({
      ...{ app, ...ground, host: '127.0.0.1', port: 0, tls: { certificates }, arrivalMs: ARRIVAL_MS },
      ...{ maxConnections: MAX_CONNECTIONS, maxAddressConnections: MAX_ADDRESS_CONNECTIONS },
    });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server.close();
  });

  const address = () => ({ host: '127.0.0.1', port: Number(new URL(server.url).port) });
  const open = async (): Promise<TLSSocket> => {
    const socket = connect({ ...address(), ca: authority.cert });
    sockets.push(socket);
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  };
  /** Until `enough` is received, or the connection is closed. */
  const exchange = (socket: Socket, text: string, enough = (_: string) => false): Promise<string> =>
    new Promise((resolve) => {
      let got = '';
      socket.on('data', (data) => {
        got += data;
        if (enough(got)) resolve(got);
      });
      socket.on('close', () => resolve(got));
      socket.write(text);
    });
  const get = 'GET /things HTTP/1.1\r\nhost: x\r\n\r\n';
  const metricOf = async (pattern: RegExp): Promise<number> => Number(pattern.exec((await metrics.render()).text)?.[1]);
  const connections = () => metricOf(/^tidal_http_connections\{.*\} (\d+)$/m);

  it('names itself with https, and answers a malformed request as without TLS', async () => {
    assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.match(await exchange(await open(), 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"code":"invalid_request"/);
  });

  it('connections over the limit are refused at their first request; further ones of the address in the handshake', async () => {
    const first = await open();
    for (let count = 1; count < MAX_CONNECTIONS; count++) await open();
    const over = await open();
    assert.match(await exchange(over, get), /^HTTP\/1\.1 503 [\s\S]*overloaded/);
    await eventually('it is closed', async () => (await connections()) === MAX_CONNECTIONS);
    for (let count = MAX_CONNECTIONS; count < MAX_ADDRESS_CONNECTIONS; count++) await open();
    await assert.rejects(open(), /disconnected|ECONNRESET|EPIPE/);
    assert.equal(await metricOf(/^tidal_http_address_connections_refused_total\{.*\} (\d+)$/m), 1);
    assert.match(await exchange(first, get, (got) => got.includes('}')), /^HTTP\/1\.1 200 /);
    for (const socket of sockets) socket.destroy();
    await eventually('none is open', async () => (await connections()) === 0);
    await open();
  });

  it('a client that begins no handshake is disconnected, and one that speaks something else, without an answer', async () => {
    const mute = connectPlain(address());
    sockets.push(mute);
    const closed = once(mute, 'close');
    mute.resume();
    const other = connectPlain(address());
    sockets.push(other);
    other.on('error', () => {});
    assert.doesNotMatch(await exchange(other, get), /HTTP/);
    await closed;
    assert.ok((await metricOf(/^tidal_tls_refused_total\{reason="handshake".*\} (\d+)$/m)) >= 1);
    assert.equal(await connections(), 0);
  });

  it('a client that says nothing does not delay a stop beyond the limit of the drain', async () => {
    const tls = { certificates: { ...certificates, onReplaced: () => {} } };
    const ground = { log: silentLog, metrics: createMetrics({ process: 'region', name: 'a' }), clock: systemClock };
    const stopped = await listen({
      ...{ app: { callback: () => async () => {} }, ...ground, random: systemRandom, tls, host: '127.0.0.1', port: 0 },
      // Its handshake would be over after the test.
      ...{ maxConnections: 16, arrivalMs: 600_000, drainLimitMs: 200 },
    });
    const port = Number(new URL(stopped.url).port);
    const [mute, half] = [connectPlain(port, '127.0.0.1'), connectPlain(port, '127.0.0.1')];
    sockets.push(mute, half);
    half.write(Buffer.from([0x16, 0x03, 0x01]));
    const closed = [mute, half].map((socket) => once(socket.resume(), 'close'));
    await Promise.all([mute, half].map((socket) => once(socket, 'connect')));
    // After both, in order: they are accepted.
    const third = connect({ host: '127.0.0.1', port, ca: authority.cert });
    sockets.push(third);
    await once(third, 'secureConnect');
    await stopped.close();
    await Promise.all(closed);
  });

  it('a client without a certificate gains nothing by resuming its session, in any version of TLS', async () => {
    const ground = { log: silentLog, metrics: createMetrics({ process: 'region', name: 'a' }), clock: systemClock };
    const app = createHttpApp({
      ...{ ...ground, random: systemRandom },
      limits: { inFlight: 8, arrivingBodies: 8, answersBytes: 1024 * 1024 },
    });
    const tls = { certificates: { ...certificates, onReplaced: () => {} }, clients: { openPaths: ['/health/live'] } };
    const region = await listen({
      ...{ app, ...ground, random: systemRandom, tls, host: '127.0.0.1', port: 0, maxConnections: 16 },
    });
    try {
      for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
        let session: Buffer | undefined;
        for (const attempt of [1, 2, 3]) {
          const port = Number(new URL(region.url).port);
          const socket = connect({
            host: '127.0.0.1',
            port,
            ca: authority.cert,
            maxVersion,
            ...(session && { session }),
          });
          sockets.push(socket);
          socket.on('session', (next) => {
            session = next;
          });
          await once(socket, 'secureConnect');
          const answer = await exchange(socket, get, (got) => got.includes('\r\n\r\n'));
          assert.match(answer, /^HTTP\/1\.1 401 [\s\S]*www-authenticate: Certificate/, `${maxVersion}, ${attempt}`);
        }
      }
    } finally {
      await region.close();
    }
  });

  it('replaced certificates: connections of before end after an answer, and the next one shows the new certificate', async () => {
    const before = await open();
    const { serialNumber } = before.getPeerCertificate();
    const answered = await exchange(before, get, (got) => got.includes('}'));
    assert.match(answered, /^HTTP\/1\.1 200 [\s\S]*connection: keep-alive/i);
    const next = issued();
    certificates.current = setOf(next);
    replaced();
    const last = await exchange(before, get);
    assert.match(last, /^HTTP\/1\.1 200 [\s\S]*connection: close/i);
    const after = await open();
    assert.notEqual(after.getPeerCertificate().serialNumber, serialNumber);
    assert.match(await exchange(after, get, (got) => got.includes('}')), /connection: keep-alive/i);
  });
});
