/** How a process identifies itself to the broker, and the broker to it. Files are read at every connect, so they can be replaced. */
import { resolve } from 'node:path';
import type { Setting } from '../config/settings-table.ts';
import { ConfigError } from '../errors/config-error.ts';

export const brokerSettings = {
  natsUser: {
    env: 'NATS_USER',
    flag: 'nats-user',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'user of the NATS server',
  },
  natsPassword: {
    env: 'NATS_PASSWORD',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'its password; never a flag, which other users of the machine can read',
  },
  natsPasswordFile: {
    env: 'NATS_PASSWORD_FILE',
    flag: 'nats-password-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'file with that password, instead of it; read at every connect',
  },
  natsNkeySeedFile: {
    env: 'NATS_NKEY_SEED_FILE',
    flag: 'nats-nkey-seed-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'file with the seed of an nkey, instead of user and password',
  },
  natsCredsFile: {
    env: 'NATS_CREDS_FILE',
    flag: 'nats-creds-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'credentials file with a JWT and a seed, instead of user and password',
  },
  natsCaFile: {
    env: 'NATS_CA_FILE',
    flag: 'nats-ca-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'certificates of the authorities that sign the NATS server’s; with it the connection must be encrypted',
  },
  natsCertFile: {
    env: 'NATS_CERT_FILE',
    flag: 'nats-cert-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'certificate of this process, for a NATS server that demands one',
  },
  natsKeyFile: {
    env: 'NATS_KEY_FILE',
    flag: 'nats-key-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'key of that certificate',
  },
} as const satisfies Record<string, Setting>;

export type BrokerValues = { readonly [Name in keyof typeof brokerSettings]: string };

export interface BrokerAccess {
  /** Absent: the server takes anyone. */
  readonly identity?:
    | { readonly user: string; readonly password: string }
    | { readonly user: string; readonly passwordFile: string }
    | { readonly seedFile: string }
    | { readonly credsFile: string };
  /** Absent: encrypted if the server demands it, by authorities that the system trusts. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
}

/** Throws `ConfigError` where two identities are given, or half of one. */
export function brokerAccess(values: BrokerValues): BrokerAccess {
  const { natsUser: user, natsPassword: password, natsPasswordFile, natsNkeySeedFile, natsCredsFile } = values;
  const { natsCaFile, natsCertFile, natsKeyFile } = values;
  const given = [user, natsNkeySeedFile, natsCredsFile].filter((value) => value !== '');
  if (given.length > 1) {
    throw new ConfigError('NATS_USER, NATS_NKEY_SEED_FILE and NATS_CREDS_FILE exclude each other: give one of them');
  }
  if (password !== '' && natsPasswordFile !== '') {
    throw new ConfigError('NATS_PASSWORD and NATS_PASSWORD_FILE are both set: give one of them');
  }
  if ((user === '') !== (password === '' && natsPasswordFile === '')) {
    throw new ConfigError('NATS_USER and NATS_PASSWORD (or NATS_PASSWORD_FILE) are given together');
  }
  if ((natsCertFile === '') !== (natsKeyFile === '')) {
    throw new ConfigError('NATS_CERT_FILE and NATS_KEY_FILE are given together');
  }
  const tls = {
    ...(natsCaFile === '' ? {} : { caFile: resolve(natsCaFile) }),
    ...(natsCertFile === '' ? {} : { certFile: resolve(natsCertFile), keyFile: resolve(natsKeyFile) }),
  };
  return {
    ...(password === '' ? {} : { identity: { user, password } }),
    ...(natsPasswordFile === '' ? {} : { identity: { user, passwordFile: resolve(natsPasswordFile) } }),
    ...(natsNkeySeedFile === '' ? {} : { identity: { seedFile: resolve(natsNkeySeedFile) } }),
    ...(natsCredsFile === '' ? {} : { identity: { credsFile: resolve(natsCredsFile) } }),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
  };
}
