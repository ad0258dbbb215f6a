import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const sample = fileURLToPath(new URL('../../../harness/processes/service-process.js', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly messages: string[];
  readonly stderr: string;
}

/** Runs the sample service; `onStarted` runs once it logged `started`. */
function run(
  mode: string,
  onStarted?: (child: ChildProcess) => void,
  env: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [sample, mode], { env: { ...process.env, ...env }, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    let told = false;
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      if (told || !stdout.includes('"msg":"started"')) return;
      told = true;
      onStarted?.(child);
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('close', (code) => {
      const lines = stdout.split('\n').filter((line) => line !== '');
      resolve({ code, messages: lines.map((line) => (JSON.parse(line) as { msg: string }).msg), stderr });
    });
  });
}

describe('the life of a service process', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`${signal} stops in order and exits 0, once, however often it is received`, async () => {
      const ended = await run('plain', (child) => {
        child.kill(signal);
        child.kill(signal);
      });
      assert.equal(ended.code, 0);
      assert.deepEqual(ended.messages, ['started', 'shutdown signal received', 'stopped']);
    });
  }

  it('a signal during the start ends it at once: what a start has done by then is what a crash leaves', async () => {
    const ended = await run('slow-start', (child) => child.kill('SIGTERM'));
    assert.equal(ended.code, 0);
    assert.deepEqual(ended.messages, ['started', 'shutdown signal received', 'stopped']);
  });

  it('a stop that hands over is not waited for once the parent ends as well', async () => {
    const ended = await run(
      'hands-over',
      (child) => {
        child.stdout?.on('data', (chunk) => {
          if (String(chunk).includes('handover started')) child.stdin?.end();
        });
        child.kill('SIGTERM');
      },
      { TIDAL_PARENT_PIPE: '1' },
    );
    assert.equal(ended.code, 0);
    assert.deepEqual(ended.messages, ['started', 'shutdown signal received', 'handover started', 'hurried', 'stopped']);
  });

  it('where the pipe of the parent ends first, nothing is handed over', async () => {
    const ended = await run('hands-over', (child) => child.stdin?.end(), { TIDAL_PARENT_PIPE: '1' });
    assert.deepEqual(ended.messages.slice(2), ['handover started', 'hurried', 'stopped']);
  });

  it('a process npm started ends in order when npm has ended', async () => {
    const shell = spawn('sh', ['-c', `"${process.execPath}" "${sample}" plain & wait`], {
      env: { ...process.env, npm_lifecycle_event: 'start' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    shell.stdout.on('data', (chunk) => {
      if (said === '') shell.kill('SIGKILL');
      said += chunk;
    });
    // The pipe stays open as long as the process that was left behind has it.
    await once(shell.stdout, 'end');
    assert.match(said, /"cause":"parent ended"[\s\S]*"msg":"stopped"/);
  });

  it('the end of the parent pipe counts as a signal', async () => {
    const ended = await run('plain', (child) => child.stdin?.end(), { TIDAL_PARENT_PIPE: '1' });
    assert.equal(ended.code, 0);
    assert.ok(ended.messages.includes('shutdown signal received'));
  });

  it('a stop that hangs ends with 1', async () => {
    const ended = await run('never-stops', (child) => child.kill('SIGTERM'));
    assert.equal(ended.code, 1);
    assert.equal(ended.messages.at(-1), 'graceful shutdown timed out');
  });

  it('a configuration that cannot be used is printed in plain words and exits 2', async () => {
    const ended = await run('bad-config');
    assert.equal(ended.code, 2);
    assert.equal(ended.stderr, 'the port is taken\n');
  });

  for (const [mode, message] of [
    ['bad-start', 'start failed'],
    ['rejects', 'unhandled rejection'],
    ['throws', 'uncaught exception'],
  ] as const) {
    it(`${message}: logged, exit 1 at once`, async () => {
      const ended = await run(mode);
      assert.equal(ended.code, 1);
      assert.equal(ended.messages.at(-1), message);
    });
  }
});
