/** The settings of TLS between processes of the cluster; `services/router/public-access.ts` has those of the public surface. */
import { resolve } from 'node:path';
import type { CertificateFiles, NamedFile } from '../certificates/certificates.ts';
import type { Setting } from '../config/settings-table.ts';
import { ConfigError } from '../errors/config-error.ts';

export const tlsSettings = {
  tlsCertFile: {
    env: 'TIDAL_TLS_CERT_FILE',
    flag: 'tls-cert-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'certificate of this process, PEM, for both sides of TLS between router and regions and between regions; those between it and its authority follow it. Read again when it changes. Without it these connections are not encrypted',
  },
  tlsKeyFile: {
    env: 'TIDAL_TLS_KEY_FILE',
    flag: 'tls-key-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'private key of that certificate, PEM',
  },
  tlsCaFile: {
    env: 'TIDAL_TLS_CA_FILE',
    flag: 'tls-ca-file',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'authorities that issue the certificates of the cluster’s processes, PEM; all in it are accepted, so that one can be replaced',
  },
} as const satisfies Record<string, Setting>;

export type TlsValues = { readonly [Name in keyof typeof tlsSettings]: string };

/** A setting's file; undefined if it is not set. */
export function namedFile(setting: string, path: string): NamedFile | undefined {
  return path === '' ? undefined : { setting, path: resolve(path) };
}

/** Undefined without TLS. Throws `ConfigError` if only some of the three are given. */
export function internalTls(values: TlsValues): CertificateFiles | undefined {
  const { tlsCertFile, tlsKeyFile, tlsCaFile } = values;
  const given = [tlsCertFile, tlsKeyFile, tlsCaFile].filter((path) => path !== '').length;
  if (given === 0) return undefined;
  const settings = Object.values(tlsSettings).map(({ env }) => env);
  if (given < settings.length)
    throw new ConfigError(`${settings.join(', ')} are given together: both sides prove themselves`);
  return {
    cert: namedFile('TIDAL_TLS_CERT_FILE', tlsCertFile),
    key: namedFile('TIDAL_TLS_KEY_FILE', tlsKeyFile),
    ca: namedFile('TIDAL_TLS_CA_FILE', tlsCaFile),
    sides: ['server', 'client'],
  };
}
