/**
 * The Docker engine, for the tests that need one: its availability is checked once. Without an engine these suites are skipped
 * with a message; where one is required (`TIDAL_REQUIRE_DOCKER=1`, or `CI`) they fail instead.
 */
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** The repository's root, where `compose.yaml` is. */
export const root: string = fileURLToPath(new URL('../../../../', import.meta.url));

/** Standard output of a `docker` command; throws with its standard error. */
export async function docker(
  args: readonly string[],
  { limitMs = 60_000, environment = {} }: { limitMs?: number; environment?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { stdout } = await execute('docker', args, {
    cwd: root,
    env: { ...process.env, ...environment },
    timeout: limitMs,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

export interface Ended {
  readonly exitCode: number;
  /** Standard output and standard error. */
  readonly output: string;
}

/** Runs a `docker` command to its end whatever its exit code, with `input` on its standard input. */
export function dockerEnded(args: readonly string[], input = '', limitMs = 60_000): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn('docker', args, { cwd: root, timeout: limitMs, killSignal: 'SIGKILL' });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        output += text;
      });
    }
    child.once('error', reject);
    child.once('close', (code) => resolve({ exitCode: code ?? -1, output }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

let missing: Promise<string | undefined> | undefined;

/** Why containers cannot be run here; undefined when they can. */
function missingEngine(): Promise<string | undefined> {
  missing ??= (async () => {
    try {
      await docker(['version', '--format', '{{.Server.Version}}'], { limitMs: 10_000 });
      await docker(['compose', 'version'], { limitMs: 10_000 });
      return undefined;
    } catch (error) {
      const text = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
      return `no Docker engine with Compose (${text})`;
    }
  })();
  return missing;
}

/** First line of a suite's `before` hook. */
export async function needDocker(context: Mocha.Context): Promise<void> {
  const why = await missingEngine();
  if (why === undefined) {
    // The reaper is an image that may not be there; `after` hooks clean up. Ports are published on loopback alone.
    process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
    process.env.TESTCONTAINERS_HOST_OVERRIDE ??= '127.0.0.1';
    return;
  }
  if (process.env.TIDAL_REQUIRE_DOCKER === '1' || process.env.CI !== undefined) throw new Error(why);
  console.log(`      SKIPPED: ${why}`);
  context.skip();
}

let built: Promise<string> | undefined;

/** The image, built once a run under a name of its own (its layers stay in the build cache); `TIDAL_TEST_IMAGE` names one that is there already. */
export function image(): Promise<string> {
  built ??= (async () => {
    const given = process.env.TIDAL_TEST_IMAGE;
    if (given !== undefined && given !== '') return given;
    const name = `tidaldb-cluster:test-${process.pid}`;
    await docker(['build', '--quiet', '--file', 'deploy/Dockerfile', '--tag', name, '.'], { limitMs: 600_000 });
    return name;
  })();
  return built;
}

const endings: (() => Promise<void>)[] = [];

/** Runs `action` after every suite, while the image is still there. */
export function atEndOfRun(action: () => Promise<void>): void {
  endings.push(action);
}

// This file is loaded before any suite is defined, so that this hook is the run's own: the last one.
after(async function removeImage() {
  this.timeout(180_000);
  for (const action of endings) await action();
  if (built === undefined || process.env.TIDAL_TEST_IMAGE) return;
  const name = await built.catch(() => undefined);
  if (name !== undefined) await docker(['image', 'rm', name]);
});

/** Fetches a public image this machine does not have yet, outside the limits of the test that runs it. */
export async function fetchImage(name: string): Promise<void> {
  const there = await dockerEnded(['image', 'inspect', '--format', '{{.Id}}', name]);
  if (there.exitCode !== 0) await docker(['pull', '--quiet', name], { limitMs: 600_000 });
}

/** How long a suite's `before` may take: the first one builds the image. */
export const buildLimitMs = 660_000;

let names = 0;

/** A name no other run uses: containers and projects of the tests never collide with another cluster. */
export function uniqueName(purpose: string): string {
  names += 1;
  return `tidal-test-${purpose}-${process.pid}-${names}`;
}
