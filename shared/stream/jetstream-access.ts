/**
 * What a connection to the broker is made with, read from its files at every connect, and what a failure means, in words that name
 * the setting. Secrets are in no message.
 *
 * Promise: with TLS the server's certificate is verified for the host in its address, a DNS name or an IP address, and a connection that
 * must be encrypted is never made without.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, credsAuthenticator, ErrorCode, nkeyAuthenticator, type TlsOptions } from 'nats';
import type { CertificateFiles, NamedFile } from '../certificates/certificates.ts';
import { isCredentialFailure, tlsFailureText } from '../certificates/tls-failure.ts';
import { ConfigError } from '../errors/config-error.ts';
import { messageOf } from '../errors/errors.ts';
import type { BrokerAccess } from './broker-access.ts';

type Identity = NonNullable<BrokerAccess['identity']>;
type Authenticate = (nonce?: string) => unknown;

/** Sent for a proof that the file is usable; the answer is thrown away. */
const ANY_NONCE = 'nonce';
const CREDS_EXPECTED = 'a credentials file with a user’s JWT and seed, as nsc makes it';

/** Throws an `Error` that names the setting of a file that cannot be used. */
export function accessOptions({ identity, tls }: BrokerAccess, url: string): Partial<ConnectionOptions> {
  const { protocol, hostname } = new URL(url);
  const isTls = tls !== undefined || protocol === 'tls:';
  return {
    ...(identity === undefined ? {} : identityOptions(identity)),
    ...(isTls ? { tls: tlsOptions(tls ?? {}, hostname.replace(/^\[|\]$/g, '')) } : {}),
  };
}

/** Throws `ConfigError` if a file of the identity is missing, or holds something else. */
export function checkIdentity({ identity }: BrokerAccess, nowMs: number): void {
  try {
    const options = identity === undefined ? {} : identityOptions(identity);
    if (options.pass === '') throw new Error('NATS_PASSWORD_FILE is empty');
    if ('authenticator' in options) (options.authenticator as Authenticate)(ANY_NONCE);
    if (identity !== undefined && 'credsFile' in identity) checkExpiry(identity.credsFile, nowMs);
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}

/** To be checked and watched; undefined if the system's authorities are to be believed and there is no certificate. */
export function brokerCertificates({ tls }: BrokerAccess): CertificateFiles | undefined {
  if (tls === undefined) return undefined;
  const { caFile, certFile, keyFile } = tls;
  return {
    ca: fileOf('NATS_CA_FILE', caFile),
    cert: fileOf('NATS_CERT_FILE', certFile),
    key: fileOf('NATS_KEY_FILE', keyFile),
    sides: ['client'],
  };
}

export interface DialFailure {
  readonly text: string;
  /** The server is there; what this process has, or what the server has, is not accepted. */
  readonly credentials: boolean;
}

/** Why no connection was made. */
export function dialFailure(error: unknown, { identity }: BrokerAccess): DialFailure {
  const code = String((error as { readonly code?: unknown }).code ?? '');
  const refusals: readonly string[] = [
    ...[ErrorCode.AuthorizationViolation, ErrorCode.AuthenticationExpired, ErrorCode.AuthenticationTimeout],
    ErrorCode.AccountExpired,
  ];
  if (refusals.includes(code)) {
    return { text: `the server does not accept ${namesOf(identity)} (${messageOf(error)})`, credentials: true };
  }
  if (code === ErrorCode.ServerOptionNotAvailable) {
    const text =
      'the server has no TLS, which NATS_CA_FILE, NATS_CERT_FILE or an address that begins with tls:// demands';
    return { text, credentials: true };
  }
  if (/ALERT_(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)/.test(code)) {
    return { text: 'the server demands a certificate: NATS_CERT_FILE and NATS_KEY_FILE', credentials: true };
  }
  const text = tlsFailureText(error, { cert: 'NATS_CERT_FILE', ca: 'NATS_CA_FILE' });
  return { text, credentials: isCredentialFailure(error) };
}

function namesOf(identity: Identity | undefined): string {
  if (identity === undefined) return 'a client without NATS_USER, NATS_NKEY_SEED_FILE or NATS_CREDS_FILE';
  if ('passwordFile' in identity)
    return `the user ${identity.user} (NATS_USER) with the password in NATS_PASSWORD_FILE`;
  if ('user' in identity) return `the user ${identity.user} (NATS_USER) with NATS_PASSWORD`;
  return 'seedFile' in identity ? 'the nkey in NATS_NKEY_SEED_FILE' : 'the credentials in NATS_CREDS_FILE';
}

function identityOptions(identity: Identity): Partial<ConnectionOptions> {
  if ('passwordFile' in identity) {
    return { user: identity.user, pass: textOf('NATS_PASSWORD_FILE', identity.passwordFile).trim() };
  }
  if ('user' in identity) return { user: identity.user, pass: identity.password };
  if ('seedFile' in identity) {
    const seed = Buffer.from(textOf('NATS_NKEY_SEED_FILE', identity.seedFile).trim());
    return {
      authenticator: usable(nkeyAuthenticator(seed), {
        ...{ setting: 'NATS_NKEY_SEED_FILE', path: identity.seedFile },
        expected: 'the seed of a user’s nkey, which begins with SU',
      }),
    };
  }
  const creds = Buffer.from(textOf('NATS_CREDS_FILE', identity.credsFile));
  return {
    authenticator: usable(credsAuthenticator(creds), {
      ...{ setting: 'NATS_CREDS_FILE', path: identity.credsFile },
      expected: CREDS_EXPECTED,
    }),
  };
}

/** What the library says of a file that it cannot use may quote it. */
function usable<T extends Authenticate>(
  authenticate: T,
  { setting, path, expected }: NamedFile & { readonly expected: string },
): T {
  return ((nonce?: string) => {
    try {
      return authenticate(nonce);
    } catch {
      throw new Error(`${setting} (${path}) is not ${expected}`);
    }
  }) as T;
}

function checkExpiry(path: string, nowMs: number): void {
  const jwt = /BEGIN NATS USER JWT-+\s+(\S+)/.exec(textOf('NATS_CREDS_FILE', path))?.[1] ?? '';
  const expires = expiryOf(jwt);
  if (expires === 'damaged') throw new Error(`NATS_CREDS_FILE (${path}) is not ${CREDS_EXPECTED}: its JWT is damaged`);
  if (expires !== undefined && expires.getTime() <= nowMs) {
    throw new Error(`NATS_CREDS_FILE (${path}): the user’s JWT expired on ${expires.toISOString()}`);
  }
}

/** Undefined: never. */
function expiryOf(jwt: string): Date | undefined | 'damaged' {
  try {
    const text = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString();
    const { exp } = JSON.parse(text) as { readonly exp?: unknown };
    if (exp === undefined) return undefined;
    const expires = new Date(Number(exp) * 1_000);
    return Number.isNaN(expires.getTime()) ? 'damaged' : expires;
  } catch {
    return 'damaged';
  }
}

function tlsOptions({ caFile, certFile, keyFile }: NonNullable<BrokerAccess['tls']>, host: string): TlsOptions {
  // The library would have the certificate of a server with an IP address verified for the name “localhost”.
  const verified = isIP(host) === 0 ? { servername: host } : { host };
  const options = {
    ...{ ...verified, minVersion: 'TLSv1.2' },
    ...(caFile === undefined ? {} : { ca: textOf('NATS_CA_FILE', caFile) }),
    ...(certFile === undefined ? {} : { cert: textOf('NATS_CERT_FILE', certFile) }),
    ...(keyFile === undefined ? {} : { key: textOf('NATS_KEY_FILE', keyFile) }),
  };
  return options;
}

function fileOf(setting: string, path: string | undefined): NamedFile | undefined {
  return path === undefined ? undefined : { setting, path };
}

function textOf(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${setting} (${path}) cannot be read: ${messageOf(error)}`);
  }
}
