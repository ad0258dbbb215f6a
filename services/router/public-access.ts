/** The settings that say who may use the public surface; of the router, and of the launcher, which passes them on. */
import { isIPv4 } from 'node:net';
import type { CertificateFiles } from '../../shared/certificates/certificates.ts';
import { type Address, resolvePath, type Setting } from '../../shared/config/settings-table.ts';
import { namedFile } from '../../shared/credentials/tls-settings.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';

const SECRET_LIMIT_CHARACTERS = 512;

export const accessSettings = {
  apiKey: {
    env: 'TIDAL_API_KEY',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'a key for every route, as Authorization: Bearer <key>. Never a flag, which other users of the machine can read',
  },
  apiKeysFile: {
    env: 'TIDAL_API_KEYS_FILE',
    flag: 'api-keys-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'file of named keys with scopes, YAML; read again when it changes and on SIGHUP. tidal keys new makes an entry',
  },
  metricsAccess: {
    env: 'TIDAL_METRICS_ACCESS',
    flag: 'metrics-access',
    kind: 'choice',
    choices: ['keyed', 'open'],
    fallback: 'keyed',
    why: 'whether /metrics needs a key with the scope metrics, once there are keys',
  },
  insecure: {
    env: 'TIDAL_INSECURE',
    flag: 'insecure',
    kind: 'switch',
    fallback: false,
    why: 'listens on a public address without any key: every client that reaches it may do everything',
  },
} as const satisfies Record<string, Setting>;

export const publicTlsSettings = {
  publicTlsCertFile: {
    env: 'TIDAL_PUBLIC_TLS_CERT_FILE',
    flag: 'public-tls-cert-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'certificate of the public surface, PEM, those between it and its authority after it; with it clients use https. Read again when it changes',
  },
  publicTlsKeyFile: {
    env: 'TIDAL_PUBLIC_TLS_KEY_FILE',
    flag: 'public-tls-key-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'private key of that certificate, PEM',
  },
} as const satisfies Record<string, Setting>;

/** Undefined: clients use http. Throws `ConfigError` if only one of the two is given. */
export function publicTls(
  values: {
    readonly [Name in keyof typeof publicTlsSettings]: string;
  },
): CertificateFiles | undefined {
  const { publicTlsCertFile, publicTlsKeyFile } = values;
  if ((publicTlsCertFile === '') !== (publicTlsKeyFile === '')) {
    throw new ConfigError('TIDAL_PUBLIC_TLS_CERT_FILE and TIDAL_PUBLIC_TLS_KEY_FILE are given together');
  }
  const cert = namedFile('TIDAL_PUBLIC_TLS_CERT_FILE', publicTlsCertFile);
  return cert && { cert, key: namedFile('TIDAL_PUBLIC_TLS_KEY_FILE', publicTlsKeyFile), sides: ['server'] };
}

export interface AccessValues {
  readonly apiKey: string;
  readonly apiKeysFile: string;
  readonly insecure: boolean;
}

/** As a configuration has them: the file's path is absolute; what is absent is undefined. */
export interface AccessConfig {
  readonly apiKey?: string;
  readonly apiKeysFile?: string;
}

/** Throws `ConfigError` if the secret cannot be a bearer token, or if `listen` is public and there is no key. */
export function parseAccess(program: string, listen: Address, values: AccessValues): AccessConfig {
  const { apiKey, apiKeysFile, insecure } = values;
  if (apiKey !== '' && !(/^[\x21-\x7e]+$/.test(apiKey) && apiKey.length <= SECRET_LIMIT_CHARACTERS)) {
    const rule = `at most ${SECRET_LIMIT_CHARACTERS} visible ASCII characters without spaces`;
    throw new ConfigError(`${program}: TIDAL_API_KEY must have ${rule}`);
  }
  if (apiKey === '' && apiKeysFile === '' && !insecure && !isLoopback(listen.host)) {
    throw new ConfigError(
      [
        `${program}: ${listen.host} is a public address, and there is no key: every client that reaches it could do everything.`,
        'Do one of these:',
        '  set TIDAL_API_KEY to a long random text: a key for everything;',
        '  set TIDAL_API_KEYS_FILE (--api-keys-file) to a file of named keys, made by tidal keys new;',
        '  listen on loopback, for example --listen 127.0.0.1:9500;',
        '  pass --insecure (TIDAL_INSECURE=1) if only trusted clients reach this address.',
      ].join('\n'),
    );
  }
  return {
    ...(apiKey === '' ? {} : { apiKey }),
    ...(apiKeysFile === '' ? {} : { apiKeysFile: resolvePath(apiKeysFile, '') }),
  };
}

/** Of names only `localhost`: another one may be resolved to any address. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
