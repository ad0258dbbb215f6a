/**
 * `tidal keys init`: the first keys of a cluster in containers. The keys file is created last, so that an interrupted start makes
 * all of them again.
 */
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { scopes } from '../../services/router/keys/keys.ts';
import { argumentsOf, required, say } from '../backup/command.ts';
import type { Command } from './command.ts';
import { addTo, makeKey } from './new-key.ts';

const KEYS_FILE = 'keys.yaml';

export const firstKeys: Command = {
  summary: 'makes the first keys of a cluster in a directory, unless it has some',
  help: `tidal keys init --directory DIR

Without a ${KEYS_FILE} in the directory it makes two keys, and otherwise nothing:

  operator    every scope; its secret is in operator.key, which only the owner can read
  prometheus  the scope metrics; its secret is in prometheus.key
`,
  run(args) {
    const given = argumentsOf(args, { directory: { type: 'string' } });
    if (given === undefined) return;
    const directory = resolve(required(given, 'directory'));
    const file = join(directory, KEYS_FILE);
    if (existsSync(file)) return;
    const operator = makeKey({ name: 'operator', scopes });
    // Prometheus runs as another user.
    const prometheus = makeKey({ name: 'prometheus', scopes: ['metrics'] });
    for (const [name, { secret }, mode] of [
      ['operator.key', operator, 0o600],
      ['prometheus.key', prometheus, 0o644],
    ] as const) {
      const secretFile = join(directory, name);
      rmSync(secretFile, { force: true });
      writeFileSync(secretFile, `${secret}\n`, { mode: 0o600, flag: 'wx' });
      // Whatever the umask.
      chmodSync(secretFile, mode);
    }
    addTo(file, operator.entry, prometheus.entry);
    say(`${file} has the keys operator and prometheus; operator.key beside it is for everything`);
  },
};
