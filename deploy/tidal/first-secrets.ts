/**
 * `tidal secrets init` and `replace`: what the processes of a cluster in containers prove themselves with, one directory for each, so that each
 * is given its own alone. Everything follows from two files in the operator's directory, the internal secret and the seed of the
 * passwords; another run repairs and completes what is derived from them, and changes nothing else.
 */
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { INTERNAL_SECRET_FILE, parseSecrets } from '../../shared/credentials/internal-secret.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { loadTopology } from '../../shared/topology/parse-topology.ts';
import { argumentsOf, type Given, required, say } from '../backup/command.ts';
import { type NatsUser, regionUser, routerUser, usersBlock } from '../local/nats-users.ts';
import { newSecret } from '../local/secrets.ts';
import { writeCertificates } from './certificates/certificates.ts';
import type { Command } from './command.ts';
import { makeOpenPart, replaceFile } from './secret-files.ts';

const SEED_FILE = 'nats-seed';
const PASSWORD_FILE = 'nats-password';
const USERS_FILE = 'users.conf';
const OWNER_ONLY = 0o600;

const steps = ['add', 'exchange', 'remove', 'passwords'] as const;

export const replacedSecrets: Command = {
  summary: 'one step of a replacement of the secrets that tidal secrets init has made',
  help: `tidal secrets replace --directory DIR --step STEP [--topology FILE]

Changes the operator's files in the directory and hands the change on to the other parts, as tidal secrets init does.

  --step add        a new internal secret as the second one, which all processes accept within seconds
  --step exchange   the second one is used, both are accepted
  --step remove     only the first one is accepted
  --step passwords  new passwords of the users of NATS; restart nats-server afterwards
  --topology        names the regions; default TIDAL_TOPOLOGY
`,
  run(args) {
    const text = { type: 'string' } as const;
    const given = argumentsOf(args, { directory: text, topology: text, step: text });
    if (given === undefined) return;
    const directory = resolve(required(given, 'directory'));
    const step = required(given, 'step');
    const regions = regionsOf(given);
    const operator = join(directory, 'operator');
    const file = join(operator, INTERNAL_SECRET_FILE);
    if (!existsSync(file)) throw new ConfigError(`${file} does not exist; tidal secrets init makes it`);
    const secrets = parseSecrets(readFileSync(file, 'utf8'), file);
    const [first, second] = secrets;
    const keep = (...kept: readonly (string | undefined)[]): boolean =>
      replaceFile(file, `${kept.filter((secret) => secret !== undefined).join('\n')}\n`, OWNER_ONLY);
    if (step === 'add' && second === undefined) keep(first, newSecret());
    else if (step === 'exchange' && second !== undefined) keep(second, first);
    else if (step === 'remove' && second !== undefined) keep(first);
    else if (step === 'passwords') replaceFile(join(operator, SEED_FILE), `${newSecret()}\n`, OWNER_ONLY);
    else if (!(steps as readonly string[]).includes(step)) {
      throw new ConfigError(`--step is one of ${steps.join(', ')}, not "${step}"`);
    } else
      throw new ConfigError(
        `${file} has ${secrets.length === 1 ? 'one secret' : 'two secrets'}: not the time for --step ${step}`,
      );
    writeSecrets(directory, regions);
    say(`${directory}: done, for every process`);
  },
};

export const firstSecrets: Command = {
  summary: 'makes the secrets of the processes of a cluster in containers, unless there are some',
  help: `tidal secrets init --directory DIR [--topology FILE] [--certificates]

Writes into the directory, one part for each process, which needs no other:

  operator          ${INTERNAL_SECRET_FILE}; ${SEED_FILE}, from which the passwords follow; ${PASSWORD_FILE} of the user operator
  regions/<region>  ${INTERNAL_SECRET_FILE}; ${PASSWORD_FILE} of the user region-<region>
  router            ${INTERNAL_SECRET_FILE}; ${PASSWORD_FILE} of the user router
  nats              ${USERS_FILE}: these users and what each may do, for the configuration of nats-server

The two first files are made if they are absent, the internal secret from TIDAL_INTERNAL_SECRET if that is set. All others are
derived from them, at every run. Files and directories that are made are read by their owner only, but for nats and its ${USERS_FILE}.

  --topology      names the regions; default TIDAL_TOPOLOGY
  --certificates  does what tidal secrets certificates does, too
`,
  run(args) {
    const text = { type: 'string' } as const;
    const given = argumentsOf(args, { directory: text, topology: text, certificates: { type: 'boolean' } });
    if (given === undefined) return;
    const directory = resolve(required(given, 'directory'));
    writeSecrets(directory, regionsOf(given), process.env.TIDAL_INTERNAL_SECRET);
    if (given.certificates === true)
      say(`${directory}: ${writeCertificates({ directory, topology: topologyOf(given) })}`);
    say(`${directory} has the secrets of the operator, the router, NATS and every region`);
  },
};

function topologyOf(given: Given): string {
  return resolve(required({ topology: process.env.TIDAL_TOPOLOGY, ...given }, 'topology'));
}

function regionsOf(given: Given): readonly string[] {
  return loadTopology(topologyOf(given)).regions.map(({ name }) => name);
}

/** Throws `ConfigError` if the internal secret is none. */
function writeSecrets(directory: string, regions: readonly string[], given = ''): void {
  const operator = join(directory, 'operator');
  if (given !== '') parseSecrets(given, 'TIDAL_INTERNAL_SECRET');
  const secret = kept(join(operator, INTERNAL_SECRET_FILE), given);
  parseSecrets(secret, join(operator, INTERNAL_SECRET_FILE));
  const seed = kept(join(operator, SEED_FILE));
  const passwordOf = (user: string): string => createHmac('sha256', seed.trim()).update(user).digest('base64url');
  const users = new Map<string, NatsUser>([
    // It may do everything.
    ['operator', { user: 'operator', client: 'settings', password: passwordOf('operator') }],
    ['router', routerUser(passwordOf('router'))],
  ]);
  for (const region of regions) users.set(`regions/${region}`, regionUser(region, passwordOf(`region-${region}`)));
  for (const [part, { password }] of users) {
    replaceFile(join(directory, part, PASSWORD_FILE), `${password}\n`, OWNER_ONLY);
    if (part !== 'operator') replaceFile(join(directory, part, INTERNAL_SECRET_FILE), secret, OWNER_ONLY);
  }
  // nats-server runs as another user, and nothing else has this directory.
  makeOpenPart(join(directory, 'nats'));
  replaceFile(join(directory, 'nats', USERS_FILE), `${usersBlock([...users.values()]).join('\n')}\n`, 0o644);
}

/** The content of the file, which is made if it is absent. */
function kept(file: string, text = ''): string {
  if (!existsSync(file)) replaceFile(file, `${text === '' ? newSecret() : text}\n`, OWNER_ONLY);
  return readFileSync(file, 'utf8');
}
