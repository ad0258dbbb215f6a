/** The health check of a container whose port has TLS: its exit code, and what it prints for `docker inspect`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { issue, newAuthority } from '../../../../deploy/tidal/certificates/issue.ts';
import { packageRoot } from '../../../../shared/config/settings-table.ts';

describe('the health check with TLS', function () {
  // One case waits for ten seconds.
  this.timeout(120_000);
  const validity = { nowMs: Date.now(), days: 1 };
  const own = issue(newAuthority('test', validity), { name: 'a', hosts: ['a'], sides: ['server'] }, validity);
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  const portOf = (server: Server): Promise<number> =>
    new Promise((resolve) => {
      servers.push(server);
      server.on('connection', (socket) => sockets.push(socket));
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  const answering = (handle: RequestListener): Promise<number> => portOf(createServer(own, handle));
  const check = (port: number): Promise<{ code: unknown; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      execFile(
        process.execPath,
        [join(packageRoot, 'deploy/health-check-tls'), String(port)],
        (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });

  it('succeeds when the process is ready', async () => {
    const port = await answering((request, response) =>
      response.writeHead(request.url === '/health/ready' ? 200 : 404).end(),
    );
    assert.deepEqual(await check(port), { code: 0, stdout: '', stderr: '' });
  });

  it('prints the answer when it is not', async () => {
    const port = await answering((_request, response) => response.writeHead(503).end('{"status":"starting"}'));
    assert.deepEqual(await check(port), { code: 1, stdout: '{"status":"starting"}', stderr: '' });
  });

  it('says that there is no answer, and why', async () => {
    const silent = await portOf(createTcpServer(() => {}));
    const mute = await answering(() => {});
    const closing = await answering((request) => request.socket.destroy());
    const gone = await portOf(createTcpServer((socket) => socket.destroy()));
    const checks = await Promise.all([silent, mute, closing, gone].map(check));
    for (const { code, stderr } of checks) assert.deepEqual([code, stderr], [1, '']);
    const [ofSilent, ofMute, ofClosing, ofGone] = checks.map(({ stdout }) => stdout);
    assert.equal(ofSilent, 'no answer: within 10 s\n');
    assert.equal(ofMute, 'no answer: within 10 s\n');
    assert.match(ofClosing!, /^no answer: .+\n$/);
    assert.match(ofGone!, /^no answer: .+\n$/);
  });

  it('says so when nothing listens', async () => {
    const server = createTcpServer();
    const port = await portOf(server);
    await new Promise((resolve) => servers.pop()!.close(resolve));
    assert.deepEqual(await check(port), {
      ...{ code: 1, stderr: '' },
      stdout: `no answer: connect ECONNREFUSED 127.0.0.1:${port}\n`,
    });
  });
});
