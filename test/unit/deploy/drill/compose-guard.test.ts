/** The guard of a drill on docker compose: it starts everything when the drill's program is killed, however that was started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { watchChild } from '../../../harness/processes/children-watch.ts';

const guarded = fileURLToPath(new URL('../../../../deploy/drill/compose-processes.js', import.meta.url));

describe('the guard of a drill on docker compose', function () {
  this.timeout(120_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tidal-guard-'));
    // In place of the engine's command; slower than a process needs to learn that its parent has ended.
    const docker = `#!/bin/sh
case "$*" in
  'compose config --format json') sleep 2; echo '{"services":{"eu-west":{"command":["region"]}}}' ;;
  'compose ps --all --format json') echo '[{"Service":"eu-west","State":"paused"},{"Service":"nats","State":"running"}]' ;;
  *) echo "$*" >> '${folder}/ran' ;;
esac
`;
    writeFileSync(join(folder, 'docker'), docker, { mode: 0o755 });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const guardedProgram = async (environment: NodeJS.ProcessEnv): Promise<ChildProcess> => {
    const program = `
      const { startGuard } = await import(${JSON.stringify(guarded)});
      startGuard();
      setInterval(() => {}, 1_000);
      console.log('guarded');`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    watchChild('a program with a guard', child);
    await once(child.stdout!, 'data');
    const guard = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'));
    // It has handlers of signals, and knows its parent.
    const handled = (): string => /^SigCgt:\t(.*)$/m.exec(readFileSync(`/proc/${guard}/status`, 'utf8'))![1]!;
    await eventually('the guard has started', () => (Number.parseInt(handled().slice(-1), 16) & 1) === 1, 30_000);
    return child;
  };
  const ran = (): string => (existsSync(join(folder, 'ran')) ? readFileSync(join(folder, 'ran'), 'utf8') : '');

  for (const [how, environment] of [
    ['by npm', { npm_lifecycle_event: 'npx' }],
    ['without npm', { npm_lifecycle_event: undefined }],
  ] as const) {
    it(`a program started ${how} is killed: what is paused is resumed`, async () => {
      const child = await guardedProgram(environment);
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await eventually('it is resumed', () => ran() === 'compose unpause eu-west\n', 60_000);
    });
  }
});
