/**
 * Where a process gets the cluster's internal secret from: an environment variable or a file. A file is read again when it
 * changes, so that a secret is replaced without a restart. A file that becomes unusable while the process runs is reported, and
 * the former secrets stay valid.
 *
 * A process without a secret does not start, unless the operator says that nothing but the cluster reaches its doors
 * (`--insecure-internal`).
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Setting } from '../config/settings-table.ts';
import { ConfigError } from '../errors/config-error.ts';
import { messageOf } from '../errors/errors.ts';
import type { Clock } from '../kernel/kernel.ts';
import { type Repetition, repeat } from '../kernel/repeat.ts';
import type { Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { InternalKeys } from './internal-keys.ts';

/** Name of the file in which a launcher keeps the secret that it made, in its data directory. */
export const INTERNAL_SECRET_FILE = 'internal-secret';

/** How often the file is compared with what was read. */
const LOOK_MS = 2_000;
/** Valid at a time: the present one, and its successor or predecessor. */
const SECRETS_LIMIT = 2;
/** 32 bytes in hexadecimal and in base64. */
const HEX_CHARACTERS = 64;
const TEXT_CHARACTERS = 43;
const LIMIT_CHARACTERS = 512;
/** A text with fewer different characters was not drawn at random. */
const DIFFERENT_CHARACTERS = 10;

export const secretSettings = {
  internalSecret: {
    env: 'TIDAL_INTERNAL_SECRET',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'the secret that all processes of the cluster share, 32 random bytes or more as text; two, separated by a space, are valid at a time. Never a flag, which other users of the machine can read',
  },
  internalSecretFile: {
    env: 'TIDAL_INTERNAL_SECRET_FILE',
    flag: 'internal-secret-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'a file with that secret, or with two of them, one a line; it is read again when it changes',
  },
  insecureInternal: {
    env: 'TIDAL_INSECURE_INTERNAL',
    flag: 'insecure-internal',
    kind: 'switch',
    fallback: false,
    why: 'accepts internal requests and messages without a credential, and starts without an internal secret: for a machine or a network that nothing else reaches, or while a cluster gets its first secret',
  },
} as const satisfies Record<string, Setting>;

export interface SecretValues {
  readonly internalSecret: string;
  readonly internalSecretFile: string;
  readonly insecureInternal: boolean;
}

/** The secrets in a text. `where` names the text in errors. Throws `ConfigError`. */
export function parseSecrets(text: string, where: string): readonly string[] {
  const secrets = text.split(/\s+/).filter((word) => word !== '');
  if (secrets.length < 1 || secrets.length > SECRETS_LIMIT) {
    throw new ConfigError(`${where}: holds ${secrets.length} secrets; one is needed, and two are valid at a time`);
  }
  for (const [index, secret] of secrets.entries()) {
    const least = /^[0-9a-f]+$/i.test(secret) ? HEX_CHARACTERS : TEXT_CHARACTERS;
    const differing = new Set(secret).size;
    if (secret.length < least || secret.length > LIMIT_CHARACTERS || differing < DIFFERENT_CHARACTERS) {
      // The secret itself must not get into a log.
      throw new ConfigError(
        `${where}: secret ${index + 1} is no text of 32 random bytes or more (${secret.length} characters, ${differing} different ones); \`openssl rand -base64 32\` prints one`,
      );
    }
  }
  return secrets;
}

/** The keys of a command that runs once. Undefined without a secret. Throws `ConfigError`. */
export function readInternalKeys(values: SecretValues): InternalKeys | undefined {
  const { internalSecret, internalSecretFile, insecureInternal: insecure } = values;
  if (internalSecret !== '' && internalSecretFile !== '') {
    throw new ConfigError('TIDAL_INTERNAL_SECRET and TIDAL_INTERNAL_SECRET_FILE are both set: give one of them');
  }
  if (internalSecret !== '')
    return new InternalKeys({ secrets: parseSecrets(internalSecret, 'TIDAL_INTERNAL_SECRET'), insecure });
  if (internalSecretFile === '') return undefined;
  const file = resolve(internalSecretFile);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`the file of the internal secret cannot be read: ${messageOf(error)}`);
  }
  return new InternalKeys({ secrets: parseSecrets(text, file), insecure });
}

export interface InternalSecretOptions {
  readonly program: string;
  readonly values: SecretValues;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface InternalSecret {
  readonly keys: InternalKeys;
  stop(): Promise<void>;
}

/** Throws `ConfigError` if there is no secret, or an unusable one. */
export function openInternalSecret({ program, values, clock, log, metrics }: InternalSecretOptions): InternalSecret {
  const { internalSecretFile, insecureInternal: insecure } = values;
  const keys = readInternalKeys(values) ?? new InternalKeys({ secrets: [], insecure });
  if (keys.count === 0 && !insecure) {
    throw new ConfigError(
      [
        `${program}: there is no internal secret, without which anyone who reaches this process's doors may do anything.`,
        'Make one for the whole cluster:      (umask 077; openssl rand -base64 32 > internal-secret)',
        'and give it to every process of it:  TIDAL_INTERNAL_SECRET_FILE=/path/of/internal-secret',
        'Where nothing but the cluster reaches them, it starts without one: --insecure-internal (TIDAL_INSECURE_INTERNAL=1).',
      ].join('\n'),
    );
  }
  if (insecure) log.warn('insecure: requests and messages without a credential are accepted');
  metrics.gauge({
    name: 'tidal_internal_secrets',
    help: 'Internal secrets that are valid: 2 while one replaces the other, 0 if the process runs without one.',
    read: () => keys.count,
  });
  const watch = internalSecretFile === '' ? undefined : watchFile(resolve(internalSecretFile), { keys, clock, log });
  return { keys, stop: async () => watch?.stop() };
}

function watchFile(
  file: string,
  { keys, clock, log }: Pick<InternalSecretOptions, 'clock' | 'log'> & { readonly keys: InternalKeys },
): Repetition {
  let reported: string | undefined;
  return repeat({
    clock,
    pauseMs: LOOK_MS,
    async action() {
      try {
        const secrets = parseSecrets(await readFile(file, 'utf8'), file);
        reported = undefined;
        if (!keys.replace(secrets)) return;
        log.info('internal secret read again', { ids: keys.ids });
      } catch (error) {
        const reason = messageOf(error);
        if (reason === reported) return;
        reported = reason;
        log.error('internal secret not read, the former one stays valid', { error: reason });
      }
    },
  });
}
