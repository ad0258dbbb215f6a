#!/usr/bin/env node
// `npx tidal` in a checkout: builds first, as npm's scripts do, and runs the built program.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
if (existsSync(new URL('tsconfig.json', root))) {
  // What the build prints must not be in the output of a command.
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
}
await import(new URL('dist/deploy/tidal/main.js', root).href);
