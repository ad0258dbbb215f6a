/** `tidal drill run` with its output closed: the drill continues to its end, and is undone. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../../../shared/kernel/system.ts';
import { SimulatedSurface } from '../../../../harness/drills/simulated-surface.ts';
import { watchChild } from '../../../../harness/processes/children-watch.ts';

const main = fileURLToPath(new URL('../../../../../deploy/tidal/main.js', import.meta.url));

describe('a drill that has lost its terminal', function () {
  this.timeout(120_000);
  let folder: string;
  let server: Server;
  let surface: SimulatedSurface;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-terminal-'));
    surface = new SimulatedSurface(systemClock);
    const requests: Readonly<Record<string, (body: { region: string; id: string }) => Promise<unknown>>> = {
      '/cluster/status': () => surface.status(),
      '/health': () => surface.health(),
      '/cluster/verify': () => surface.verify(),
      '/cluster/drill': (body) => surface.holdLease(body),
      '/cluster/drill/end': () => surface.endLease(),
      '/cluster/partition': ({ region }) => surface.partition(region, 1),
      '/cluster/heal': ({ region }) => surface.heal(region),
    };
    server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify((await requests[request.url ?? '']!(body === '' ? {} : JSON.parse(body))) ?? {}));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('ends in order: what it has done is undone', async () => {
    const file = join(folder, 'drill.yaml');
    writeFileSync(
      file,
      'title: t\nwhy: w\nobserve: 500ms\nsteady: {}\nload: none\nsteps: [ { partition: follower }, { wait: 1s } ]\n',
    );
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const child = spawn(process.execPath, [main, 'drill', 'run', file, '--url', url, '--target', 'http'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    watchChild('tidal', child);
    const ended = once(child, 'exit');
    // As `| head -1`: the first line is read, and the pipe closed.
    await once(child.stdout, 'data');
    child.stdout.destroy();
    child.stderr.destroy();
    const [code] = await ended;
    assert.deepEqual([code, surface.calls, surface.lease], [0, ['partition eu-west 1', 'heal eu-west'], undefined]);
  });
});
