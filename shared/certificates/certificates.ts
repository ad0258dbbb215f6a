/**
 * What a process proves itself with in TLS, and whom it believes: its certificate, the private key of it, the certificates of
 * authorities. Each is a PEM file; several authorities are valid at a time.
 *
 * Promise: what is returned can be used. A file that is missing, a key of another certificate, a certificate that has expired or
 * cannot serve both sides is named by its setting.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ConfigError } from '../errors/config-error.ts';
import { messageOf } from '../errors/errors.ts';

/** One file, and the setting that names it. */
export interface NamedFile {
  readonly setting: string;
  readonly path: string;
}

export interface CertificateFiles {
  readonly cert?: NamedFile | undefined;
  /** Present exactly if `cert` is. */
  readonly key?: NamedFile | undefined;
  readonly ca?: NamedFile | undefined;
  /** Which sides of a connection the certificate is for. */
  readonly sides: readonly ('server' | 'client')[];
}

export interface CertificateSet {
  /** PEM: the process's own certificate, then those between it and an authority. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** PEM. Absent: authorities that the system trusts. */
  readonly ca?: string | undefined;
  /** When its own certificate, one between, or the last of the authorities expires, ms since 1970. */
  readonly expiresMs: number;
  /** What may go wrong at the other side, in a sentence. */
  readonly warning?: string | undefined;
}

export type ReadText = (path: string) => string;

const usageOf = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
const usageNames = { server: 'serverAuth', client: 'clientAuth' } as const;

/** Throws `ConfigError`. */
export function certificateSet(files: CertificateFiles, readText: ReadText, nowMs: number): CertificateSet {
  const { cert, key, ca } = files;
  const own = cert && certificatesIn(cert, readText);
  const authorities = ca && certificatesIn(ca, readText);
  if (own !== undefined) {
    checkUsage(cert!, own.list[0]!, files.sides);
    for (const each of own.list) checkTime(cert!, each, nowMs);
  }
  const privateKey = key && privateKeyIn(key, readText);
  if (privateKey !== undefined && !own!.list[0]!.checkPrivateKey(privateKey.key)) {
    throw new ConfigError(
      `${named(key!)} is not the key of the certificate ${subjectOf(own!.list[0]!)} in ${named(cert!)}`,
    );
  }
  // What is beside certificates and key in the files is parsed by the library too, which is also stricter: about lengths of keys, say.
  if (cert !== undefined) checkUse(cert, { cert: own!.text });
  if (key !== undefined) checkUse(key, { cert: own!.text, key: privateKey!.text });
  if (ca !== undefined) checkUse(ca, { ca: authorities!.text });
  // One that has expired does no harm beside one that has not.
  const last = authorities?.list.reduce((a, b) => (endOf(a) > endOf(b) ? a : b));
  if (last !== undefined) checkTime(ca!, last, nowMs);
  return {
    cert: own?.text,
    key: privateKey?.text,
    ca: authorities?.text,
    expiresMs: Math.min(...[...(own?.list ?? []), ...(last === undefined ? [] : [last])].map(endOf)),
    warning:
      own === undefined || authorities === undefined || isIssued(own.list, authorities.list)
        ? undefined
        : `no authority in ${named(ca!)} has issued the certificate in ${named(cert!)}: processes with the same file refuse it`,
  };
}

/** For messages: the setting and the path. */
function named({ setting, path }: NamedFile): string {
  return `${setting} (${path})`;
}

function textOf(file: NamedFile, readText: ReadText): string {
  try {
    return readText(file.path);
  } catch (error) {
    throw new ConfigError(`${named(file)} cannot be read: ${messageOf(error)}`);
  }
}

interface Certificates {
  readonly text: string;
  readonly list: readonly X509Certificate[];
}

function certificatesIn(file: NamedFile, readText: ReadText): Certificates {
  const text = textOf(file, readText);
  const begun = text.split('-----BEGIN CERTIFICATE-----').length - 1;
  if (begun === 0) throw new ConfigError(`${named(file)} has no certificate in PEM form`);
  const blocks =
    text.match(/^-----BEGIN CERTIFICATE-----[ \t]*\r?\n[\s\S]*?^-----END CERTIFICATE-----[ \t]*\r?$/gm) ?? [];
  // Of authorities the library would leave them out without a word.
  if (blocks.length < begun) {
    throw new ConfigError(
      `${named(file)}: of ${begun} certificates that begin in it ${blocks.length} are whole, each BEGIN and END on a line of its own`,
    );
  }
  const list = blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new ConfigError(`${named(file)}: certificate ${index + 1} cannot be read: ${messageOf(error)}`);
    }
  });
  return { text, list };
}

function privateKeyIn(file: NamedFile, readText: ReadText): { readonly text: string; readonly key: KeyObject } {
  const text = textOf(file, readText);
  try {
    return { text, key: createPrivateKey(text) };
  } catch {
    // What the library says may quote the file.
    throw new ConfigError(`${named(file)} has no private key in PEM form without a passphrase`);
  }
}

function checkUse(file: NamedFile, part: SecureContextOptions): void {
  try {
    createSecureContext({ ...part, minVersion: 'TLSv1.2' });
  } catch (error) {
    throw new ConfigError(`${named(file)} cannot be used for TLS: ${messageOf(error)}`);
  }
}

function checkTime(file: NamedFile, certificate: X509Certificate, nowMs: number): void {
  const [from, to] = [Date.parse(certificate.validFrom), endOf(certificate)];
  if (nowMs >= to) {
    throw new ConfigError(`${named(file)}: the certificate ${subjectOf(certificate)} expired on ${dayOf(to)}`);
  }
  if (nowMs < from) {
    throw new ConfigError(
      `${named(file)}: the certificate ${subjectOf(certificate)} is not valid before ${dayOf(from)}; it is ${dayOf(nowMs)} here`,
    );
  }
}

function checkUsage(file: NamedFile, certificate: X509Certificate, sides: CertificateFiles['sides']): void {
  // Without the extension it is for every use.
  const usages = certificate.keyUsage as readonly string[] | undefined;
  const lacking = sides.filter((side) => usages !== undefined && !usages.includes(usageOf[side]));
  if (lacking.length === 0) return;
  const uses = lacking.map((side) => usageNames[side]).join(' and ');
  throw new ConfigError(
    `${named(file)}: the certificate ${subjectOf(certificate)} is not for ${uses} (its extended key usage)`,
  );
}

function endOf({ validTo }: X509Certificate): number {
  return Date.parse(validTo);
}

function subjectOf({ subject }: X509Certificate): string {
  return JSON.stringify(subject?.replaceAll('\n', ', ') ?? '');
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '');
}

/** Whether an authority has signed the first one, directly or through others of the list. */
function isIssued([own, ...between]: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean {
  let at = own!;
  for (let left = between.length; ; left--) {
    const here = at;
    const signed = (by: X509Certificate): boolean => here.checkIssued(by) && here.verify(by.publicKey);
    if (authorities.some((each) => each.fingerprint256 === here.fingerprint256 || signed(each))) return true;
    const next = between.find(signed);
    if (next === undefined || left <= 0) return false;
    at = next;
  }
}
