/** Certificates, keys and authorities that a process is given: what it uses, and what it says of those it cannot use. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type Issued, issue, newAuthority } from '../../../../deploy/tidal/certificates/issue.ts';
import { type CertificateFiles, certificateSet } from '../../../../shared/certificates/certificates.ts';

const DAY_MS = 86_400_000;
const nowMs = Date.parse('2027-01-10T12:00:00Z');
const both = ['server', 'client'] as const;

const authority = newAuthority('one', { nowMs, days: 100 });
const other = newAuthority('two', { nowMs, days: 200 });
const own = issue(authority, { name: 'us-east', hosts: ['us-east'], sides: both }, { nowMs, days: 10 });

const named = (name: string) => ({ setting: `TIDAL_TLS_${name.toUpperCase()}_FILE`, path: `/etc/${name}.pem` });
const files: CertificateFiles = { cert: named('cert'), key: named('key'), ca: named('ca'), sides: both };

const read = (texts: Readonly<Record<string, string>>, which = files, atMs = nowMs) =>
  certificateSet(
    which,
    (path) => {
      const text = { '/etc/cert.pem': own.cert, '/etc/key.pem': own.key, '/etc/ca.pem': authority.cert, ...texts }[
        path
      ];
      if (text === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
      return text;
    },
    atMs,
  );

describe('certificates of a process', () => {
  it('are used as the files have them, and expire with the first of them', () => {
    const set = read({});
    assert.deepEqual([set.cert, set.key, set.ca, set.warning], [own.cert, own.key, authority.cert, undefined]);
    assert.equal(set.expiresMs, nowMs + 10 * DAY_MS);
    const long = issue(authority, { name: 'a', hosts: ['a'], sides: both }, { nowMs, days: 400 });
    const texts = { '/etc/cert.pem': long.cert, '/etc/key.pem': long.key };
    assert.equal(read(texts).expiresMs, nowMs + 100 * DAY_MS, 'its authority expires first');
  });

  it('of two authorities one may have expired, or not have issued the certificate', () => {
    const old = newAuthority('old', { nowMs: nowMs - 50 * DAY_MS, days: 20 });
    const set = read({ '/etc/ca.pem': `text before\n${old.cert}${authority.cert}${other.cert}` });
    assert.equal(set.warning, undefined);
    assert.equal(set.expiresMs, nowMs + 10 * DAY_MS);
    assert.match(read({ '/etc/ca.pem': other.cert }).warning ?? '', /no authority in TIDAL_TLS_CA_FILE .* has issued/);
  });

  it('a certificate for one side, without authorities, is what the public surface needs', () => {
    const { cert, key } = issue(authority, { name: 'a', hosts: ['a'], sides: ['server'] }, { nowMs, days: 1 });
    const set = read({ '/etc/cert.pem': cert, '/etc/key.pem': key }, { ...files, ca: undefined, sides: ['server'] });
    assert.deepEqual([set.ca, set.warning], [undefined, undefined]);
    const authorities = read({}, { ca: named('ca'), sides: [] });
    assert.deepEqual([authorities.cert, authorities.expiresMs], [undefined, nowMs + 100 * DAY_MS]);
  });

  const serverOnly = issue(authority, { name: 'a', hosts: ['a'], sides: ['server'] }, { nowMs, days: 1 });
  const locked = createPrivateKey(own.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString();
  const cases: [what: string, texts: Readonly<Record<string, string | undefined>>, expected: RegExp, atMs?: number][] =
    [
      [
        'a missing file',
        { '/etc/key.pem': undefined },
        /^TIDAL_TLS_KEY_FILE \(\/etc\/key\.pem\) cannot be read: ENOENT/,
      ],
      ['an empty file', { '/etc/cert.pem': '' }, /^TIDAL_TLS_CERT_FILE .* has no certificate in PEM form$/],
      ['a key in place of a certificate', { '/etc/ca.pem': own.key }, /^TIDAL_TLS_CA_FILE .* has no certificate/],
      [
        'a damaged one',
        { '/etc/ca.pem': own.cert.replace('MII', 'AAA') },
        /^TIDAL_TLS_CA_FILE .*: certificate 1 cannot be/,
      ],
      [
        'no key',
        { '/etc/key.pem': own.cert },
        /^TIDAL_TLS_KEY_FILE .* has no private key in PEM form without a passphrase$/,
      ],
      ['a locked key', { '/etc/key.pem': locked }, /has no private key in PEM form without a passphrase$/],
      [
        'another key',
        { '/etc/key.pem': other.key },
        /^TIDAL_TLS_KEY_FILE .* is not the key of the certificate "CN=us-east" in TIDAL_TLS_CERT_FILE/,
      ],
      [
        'expired',
        {},
        /^TIDAL_TLS_CERT_FILE .*: the certificate "CN=us-east" expired on 2027-01-20T12:00:00Z$/,
        nowMs + 10 * DAY_MS,
      ],
      [
        'not valid yet',
        {},
        /is not valid before 2027-01-10T11:00:00Z; it is 2027-01-09T12:00:00Z here$/,
        nowMs - DAY_MS,
      ],
      [
        'one side only',
        { '/etc/cert.pem': serverOnly.cert, '/etc/key.pem': serverOnly.key },
        /is not for clientAuth \(its extended key usage\)$/,
      ],
    ];
  for (const [what, texts, expected, atMs = nowMs] of cases) {
    it(`refused: ${what}`, () => {
      assert.throws(
        () => read(texts as Record<string, string>, files, atMs),
        (error: Error) => {
          assert.equal(error.name, 'ConfigError');
          assert.match(error.message, expected);
          assert.ok(!error.message.includes('PRIVATE KEY'));
          return true;
        },
      );
    });
  }
});

describe('a private authority', () => {
  const parsed = ({ cert }: Issued): X509Certificate => new X509Certificate(cert);

  it('issues certificates for names and addresses, which it has signed', () => {
    const hosts = ['us-east', 'us-east.example.org', '10.0.0.7', '::1', 'fe80::1:2', '2001:db8:0:1::'];
    const { cert, key } = issue(authority, { name: 'us-east', hosts, sides: both }, { nowMs, days: 30 });
    const leaf = new X509Certificate(cert);
    const root = parsed(authority);
    assert.ok(root.ca && !leaf.ca && root.verify(root.publicKey) && leaf.verify(root.publicKey));
    assert.ok(leaf.checkIssued(root) && !leaf.checkIssued(parsed(other)));
    assert.ok(leaf.checkPrivateKey(createPrivateKey(key)));
    for (const host of hosts) {
      const found = /^[a-z]/.test(host) && !host.includes(':') ? leaf.checkHost(host) : leaf.checkIP(host);
      assert.ok(found !== undefined, host);
    }
    assert.equal(leaf.checkHost('eu-west'), undefined);
    assert.equal(leaf.checkIP('10.0.0.8'), undefined);
    assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  it('every certificate has another serial number, and its time, also after 2050', () => {
    const late = newAuthority('late', { nowMs, days: 30 * 365 });
    assert.equal(Date.parse(parsed(late).validTo), nowMs + 30 * 365 * DAY_MS);
    const serials = Array.from({ length: 20 }, () => parsed(newAuthority('a', { nowMs, days: 1 })).serialNumber);
    assert.equal(new Set(serials).size, serials.length);
  });
});
