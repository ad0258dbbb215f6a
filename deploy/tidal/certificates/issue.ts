/**
 * Issues the certificates of a cluster's own, private authority: ECDSA on P-256, X.509 version 3 (RFC 5280). Existing certificates are
 * read by `node:crypto`, never here.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import { bits, boolean, der, implicit, integer, octets, oid, sequence, set, tagged, time, utf8 } from './der.ts';

const SERIAL_BYTES = 16;
const KEY_ID_BYTES = 20;
/** Clocks that are behind the issuer's accept a new certificate. */
const BACKDATED_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** A certificate with its private key, both PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface Validity {
  readonly nowMs: number;
  readonly days: number;
}

/** Signs itself, and certificates of processes; no other authorities. */
export function newAuthority(name: string, validity: Validity): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = keyId(publicKey);
  const cert = certificate({
    subject: name,
    publicKey,
    validity,
    issuer: { name, key: privateKey, id },
    extensions: [
      extension('2.5.29.19', sequence(boolean(true), integer(Buffer.from([0]))), true),
      // keyCertSign, cRLSign.
      extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true),
    ],
  });
  return { cert, key: pem(privateKey) };
}

export interface Process {
  /** Its common name. */
  readonly name: string;
  /** Names and addresses by which others dial it. */
  readonly hosts: readonly string[];
  /** Which sides of connections it may be. */
  readonly sides: readonly ('server' | 'client')[];
}

const usages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

export function issue(authority: Issued, { name, hosts, sides }: Process, validity: Validity): Issued {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = new X509Certificate(authority.cert);
  const cert = certificate({
    subject: name,
    publicKey,
    validity,
    issuer: {
      name: signer.subject.replace(/^CN=/, ''),
      key: createPrivateKey(authority.key),
      id: keyId(signer.publicKey),
    },
    extensions: [
      extension('2.5.29.19', sequence(), true),
      // digitalSignature.
      extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
      extension('2.5.29.37', sequence(...sides.map((side) => oid(usages[side])))),
      extension('2.5.29.17', sequence(...hosts.map(generalName))),
    ],
  });
  return { cert, key: pem(privateKey) };
}

interface Contents {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly issuer: { readonly name: string; readonly key: KeyObject; readonly id: Buffer };
  readonly extensions: readonly Buffer[];
}

function certificate({ subject, publicKey, validity: { nowMs, days }, issuer, extensions }: Contents): string {
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const signed = sequence(
    // Version 3.
    tagged(0, integer(Buffer.from([2]))),
    integer(randomBytes(SERIAL_BYTES)),
    algorithm,
    commonName(issuer.name),
    sequence(time(nowMs - BACKDATED_MS), time(nowMs + days * DAY_MS)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(
      3,
      sequence(
        ...extensions,
        extension('2.5.29.14', octets(keyId(publicKey))),
        extension('2.5.29.35', sequence(implicit(0, issuer.id))),
      ),
    ),
  );
  const bytes = sequence(signed, algorithm, bits(sign('sha256', signed, issuer.key)));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function commonName(name: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(name))));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}

function keyId(key: KeyObject): Buffer {
  const bytes = key.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(bytes).digest().subarray(0, KEY_ID_BYTES);
}

/** A DNS name or an IP address. */
function generalName(host: string): Buffer {
  if (isIP(host) === 0) return implicit(2, Buffer.from(host, 'ascii'));
  return der(0x87, isIPv6(host) ? v6Bytes(host) : Buffer.from(host.split('.').map(Number)));
}

function v6Bytes(address: string): Buffer {
  // As a URL has it: shortest form, without an embedded IPv4 address.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
