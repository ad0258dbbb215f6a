/** `tidal secrets certificates`: what each process gets, what another run changes, and the steps of a replacement. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../../../deploy/tidal/main.js', import.meta.url));

describe('tidal secrets certificates', function () {
  this.timeout(300_000);
  let directory: string;
  let topology: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tidal-certificates-'));
    topology = join(directory, 'topology.yaml');
    writeFileSync(
      topology,
      [
        'leader: us-east',
        'regions:',
        '  - name: us-east',
        '  - { name: eu-west, url: "https://10.0.0.7:9510" }',
        '',
      ].join('\n'),
    );
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const run = (...args: readonly string[]) =>
    spawnSync(
      process.execPath,
      [main, 'secrets', 'certificates', '--directory', directory, '--topology', topology, ...args],
      { encoding: 'utf8', env: { ...process.env, NATS_URL: 'tls://nats-a:4222,tls://nats-b:4222' } },
    );
  const done = (...args: readonly string[]): void => {
    const { status, stderr } = run(...args);
    assert.equal(status, 0, stderr);
  };
  const text = (file: string): string => readFileSync(join(directory, file), 'utf8');
  const certificate = (part: string): X509Certificate => new X509Certificate(text(`${part}/tls-cert.pem`));
  const authorities = (part: string): X509Certificate[] =>
    (text(`${part}/tls-ca.pem`).match(/-----BEGIN[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map(
      (each) => new X509Certificate(each),
    );
  const parts = ['operator', 'router', 'nats', 'regions/us-east', 'regions/eu-west'];

  it('each process gets a certificate for its name, which the authority has issued, and a key that others cannot read', () => {
    done();
    for (const part of parts) {
      const own = certificate(part);
      const [authority, ...others] = authorities(part);
      assert.equal(others.length, 0);
      assert.ok(own.checkIssued(authority!) && own.verify(authority!.publicKey), part);
      assert.ok(own.checkPrivateKey(createPrivateKey(text(`${part}/tls-key.pem`))));
      const mode = part === 'nats' ? 0o644 : 0o600;
      assert.equal(statSync(join(directory, part, 'tls-key.pem')).mode & 0o777, mode, part);
    }
    assert.ok(certificate('regions/us-east').checkHost('us-east'));
    assert.ok(certificate('regions/eu-west').checkIP('10.0.0.7'));
    assert.ok(certificate('nats').checkHost('nats-b'));
    assert.deepEqual(certificate('nats').keyUsage, ['1.3.6.1.5.5.7.3.1'], 'no process of the cluster');
    assert.equal(statSync(join(directory, 'operator/authorities.pem')).mode & 0o777, 0o600);
    assert.doesNotMatch(text('prometheus/tls-ca.pem'), /PRIVATE/);
  });

  it('another run renews what has little time left or another name, and nothing else', () => {
    done('--days', '90');
    const before = parts.map((part) => certificate(part).serialNumber);
    done();
    assert.deepEqual(
      parts.map((part) => certificate(part).serialNumber),
      before,
    );
    writeFileSync(topology, readFileSync(topology, 'utf8').replace('10.0.0.7', '10.0.0.8'));
    done();
    const after = parts.map((part) => certificate(part).serialNumber);
    assert.deepEqual(
      parts.filter((_, index) => after[index] !== before[index]),
      ['regions/eu-west'],
    );
    done('--step', 'renew', '--days', '30');
    assert.ok(parts.every((part, index) => certificate(part).serialNumber !== after[index]));
  });

  it('makes directories for their owner only, but for those of other users', () => {
    directory = join(directory, 'secrets');
    done();
    for (const [part, mode] of [
      ...['.', 'operator', 'router', 'regions', 'regions/us-east'].map((part) => [part, 0o700] as const),
      ...['nats', 'prometheus'].map((part) => [part, 0o755] as const),
    ]) {
      assert.equal(statSync(join(directory, part)).mode & 0o777, mode, part);
    }
  });

  it('issues again what is damaged, and a certificate whose key is another one', () => {
    done();
    const before = parts.map((part) => certificate(part).serialNumber);
    writeFileSync(join(directory, 'router/tls-cert.pem'), text('router/tls-cert.pem').slice(0, 200));
    writeFileSync(join(directory, 'regions/us-east/tls-key.pem'), 'nothing');
    writeFileSync(join(directory, 'regions/eu-west/tls-key.pem'), text('operator/tls-key.pem'));
    const { status, stdout, stderr } = run();
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /3 certificates issued/);
    assert.deepEqual(
      parts.map((part, index) => certificate(part).serialNumber === before[index]),
      [true, false, true, false, false],
    );
    for (const part of parts) {
      assert.ok(certificate(part).checkPrivateKey(createPrivateKey(text(`${part}/tls-key.pem`))), part);
    }
  });

  it('a damaged authority is named and changes nothing', () => {
    done();
    const file = join(directory, 'operator/authorities.pem');
    const whole = text('operator/authorities.pem');
    const serial = certificate('router').serialNumber;
    const [cert = '', key = ''] = whole.split(/(?=-----BEGIN PRIVATE KEY)/);
    for (const damaged of [
      whole.slice(0, -40),
      whole.replace('MII', 'AAA'),
      cert + key.replace('MIG', 'AAA'),
      cert + text('router/tls-key.pem'),
    ]) {
      writeFileSync(file, damaged);
      const { status, stdout, stderr } = run('--step', 'renew');
      assert.equal(status, 2);
      assert.match(stderr, /authorities\.pem(:| does not hold one or two authorities)/);
      assert.doesNotMatch(stderr, /\n +at |PRIVATE KEY/);
      assert.equal(stdout, '');
      assert.equal(text('operator/authorities.pem'), damaged);
      assert.equal(certificate('router').serialNumber, serial);
    }
  });

  it('says when nats-server has to read its files again', () => {
    assert.doesNotMatch(run().stdout, /nats-server/, 'it has not read any');
    assert.doesNotMatch(run().stdout, /nats-server/, 'nothing has changed');
    assert.match(
      run('--step', 'renew').stdout,
      /nats-server --signal reload, or docker compose kill --signal HUP nats\n$/,
    );
    assert.match(run('--step', 'add').stdout, /nats-server/, 'the authorities too are in its directory');
  });

  it('a replacement of the authority takes three steps, each at its time', () => {
    done();
    const [former] = authorities('router');
    const { serialNumber } = certificate('router');
    for (const [early, expected] of [
      ['exchange', /one authority: not the time/],
      ['other', /--step is one of add, exchange, remove, renew/],
    ] as const) {
      const { status, stderr } = run('--step', early);
      assert.equal(status, 2);
      assert.match(stderr, expected);
    }
    done('--step', 'add');
    assert.equal(certificate('router').serialNumber, serialNumber);
    const both = authorities('regions/us-east').map(({ fingerprint256 }) => fingerprint256);
    assert.deepEqual([both.length, both[0]], [2, former!.fingerprint256]);
    done('--step', 'exchange');
    assert.ok(parts.every((part) => certificate(part).verify(authorities(part)[0]!.publicKey)));
    assert.equal(authorities('nats')[0]!.fingerprint256, both[1]);
    done('--step', 'remove');
    for (const part of [...parts, 'prometheus']) {
      assert.deepEqual(
        authorities(part).map(({ fingerprint256 }) => fingerprint256),
        [both[1]],
      );
    }
  });

  it('wrong arguments are refused', () => {
    for (const days of ['0', '1.5']) assert.equal(run('--days', days).status, 2, days);
  });
});
