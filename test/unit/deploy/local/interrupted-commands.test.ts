/** Interrupted commands: they exit with the signal's exit code, and leave no partial results. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../../harness/kernel/eventually.ts';

const root = fileURLToPath(new URL('../../../../../', import.meta.url));
const built = (path: string): string => join(root, 'dist', path);

describe('a command that is interrupted', function () {
  this.timeout(30_000);
  let folder: string;
  let server: Server;
  let url: string;
  let asked: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-interrupted-'));
    asked = [];
    // A region with a copy of 4 MB, of which a megabyte arrives; a router that never answers.
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/internal/status') {
        response.end(JSON.stringify({ region: 'us-east', durable: '', applied: '', unshipped: 0 }));
      } else if (request.url?.startsWith('/internal/snapshot/') === true) {
        if (request.url.endsWith('offset=0')) response.end(Buffer.alloc(1024 * 1024));
      } else if (request.url?.startsWith('/internal/snapshot') === true) {
        const info = {
          id: 'a',
          region: 'us-east',
          bytes: 4_194_304,
          sha256: 'a'.repeat(64),
          position: '',
          schemaHash: 'a'.repeat(16),
        };
        response.setHeader('content-type', 'application/json').end(JSON.stringify(info));
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function interrupted(main: string, flags: readonly string[], signal: NodeJS.Signals, when: () => boolean) {
    const child = spawn(process.execPath, [built(main), ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    const exited = once(child, 'exit');
    try {
      await eventually('it has begun', when, 20_000);
      child.kill(signal);
      const [code] = await exited;
      return code as number | null;
    } finally {
      child.kill('SIGKILL');
    }
  }

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`a backup leaves no part of a file behind after ${signal}`, async () => {
      const flags = ['--region', 'us-east', '--to', join(folder, 'backup'), '--from-url', url];
      const begun = (): boolean => readdirSync(folder).includes('backup.part') && asked.length >= 4;
      assert.equal(await interrupted('deploy/backup/main.js', flags, signal, begun), code);
      assert.deepEqual(readdirSync(folder), []);
    });

    it(`the demo leaves after ${signal}`, async () => {
      assert.equal(await interrupted('deploy/local/demo.js', ['--url', url], signal, () => asked.length > 0), code);
    });
  }

  it('npm runs every program in place of its shell, so that signals to npm arrive', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const lasting = Object.entries(scripts).filter(([name]) => !/^(pre|clean$|build$|lint$)/.test(name));
    assert.ok(lasting.length > 10);
    for (const [name, script] of lasting) assert.match(script, /^exec (node|mocha|npm) [^&|;]*$/, name);
  });
});
