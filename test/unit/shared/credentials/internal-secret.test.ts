/** The internal secret: what is one, who passes with it, and how it is replaced while a process runs. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InternalKeys } from '../../../../shared/credentials/internal-keys.ts';
import { openInternalSecret, parseSecrets, readInternalKeys } from '../../../../shared/credentials/internal-secret.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';
import { systemClock as clock } from '../../../../shared/kernel/system.ts';
import { createMetrics } from '../../../../shared/observe/metrics.ts';
import { eventually } from '../../../harness/kernel/eventually.ts';
import { silentLog } from '../../../harness/observe/silent-log.ts';

const fresh = (): string => randomBytes(32).toString('base64url');
const none = { internalSecret: '', internalSecretFile: '', insecureInternal: false };

describe('the internal secret', () => {
  it('is a text of 32 random bytes, or two of them; no error shows it', () => {
    for (const secret of [fresh(), randomBytes(32).toString('hex'), randomBytes(48).toString('base64')]) {
      assert.deepEqual(parseSecrets(`${secret}\n`, 'x'), [secret]);
    }
    const [one, two] = [fresh(), fresh()];
    assert.deepEqual(parseSecrets(`\n ${one}\r\n${two}\n`, 'x'), [one, two]);
    const weak = [
      '',
      ' \n',
      'secret',
      'a'.repeat(64),
      randomBytes(24).toString('hex'),
      randomBytes(31).toString('base64url'),
    ];
    for (const text of [...weak, `${one} ${two} ${fresh()}`, 'x1'.repeat(300)]) {
      assert.throws(
        () => parseSecrets(text, 'the file'),
        (error: Error) => {
          assert.ok(error instanceof ConfigError, text);
          assert.ok(text.length < 10 || !error.message.includes(text), error.message);
          return true;
        },
      );
    }
  });

  it('gives a token that processes with the same secret accept, and no other', () => {
    const [one, two, three] = [fresh(), fresh(), fresh()];
    const keys = (...secrets: string[]): InternalKeys => new InternalKeys({ secrets, insecure: false });
    const { authorization = '' } = keys(one, two).headers;
    assert.match(authorization, /^Bearer [\w-]{43}$/);
    assert.ok(!authorization.includes(one));
    assert.equal(authorization, keys(one).headers.authorization, 'the first one sends');
    for (const [own, accepted] of [
      [keys(one), true],
      [keys(two, one), true],
      [keys(two), false],
      [keys(two, three), false],
      [keys(), false],
    ] as const) {
      assert.equal(own.accepts(authorization), accepted);
      for (const other of [
        undefined,
        '',
        'Bearer ',
        one,
        `Bearer ${one}`,
        `${authorization}x`,
        authorization.slice(0, -1),
      ]) {
        assert.equal(own.accepts(other), false, String(other));
      }
    }
    assert.equal(new InternalKeys({ secrets: [two], insecure: true }).accepts(undefined), true);
    assert.deepEqual(keys().headers, {});
  });

  it('gives each region a key for its messages: any other byte, region, secret or code is noticed', () => {
    const [one, two] = [fresh(), fresh()];
    const keys = (insecure: boolean, ...secrets: string[]): InternalKeys => new InternalKeys({ secrets, insecure });
    const bytes = randomBytes(1_000);
    const mac = keys(false, one, two).macOf('us-east', bytes)!;
    assert.match(mac, /^[0-9a-f]{8}\.[\w-]{22}$/);
    for (const own of [keys(false, one), keys(false, two, one), keys(true, one)]) {
      assert.equal(own.macFlaw('us-east', bytes, mac), undefined);
      for (const [region, other, code] of [
        ['eu-west', bytes, mac],
        ['us-east', Buffer.concat([bytes, Buffer.of(0)]), mac],
        ['us-east', bytes.subarray(1), mac],
        ['us-east', bytes, mac.replace(/\.(.)/, (_, first: string) => (first === 'A' ? '.B' : '.A'))],
        ['us-east', bytes, mac.slice(0, -3)],
        ['us-east', bytes, mac.split('.')[0]!],
      ] as const) {
        assert.match(String(own.macFlaw(region, other, code)), /that is not of /, code);
      }
    }
    assert.match(String(keys(false, one).macFlaw('us-east', bytes, undefined)), /carries no MAC/);
    assert.match(String(keys(false, two).macFlaw('us-east', bytes, mac)), /not valid here/);
    assert.match(String(keys(false).macFlaw('us-east', bytes, mac)), /not valid here/);
    for (const given of [undefined, '', 'x', mac]) {
      assert.equal(keys(true, two).macFlaw('us-east', bytes, given), undefined, 'an insecure process demands none');
    }
    assert.equal(keys(true).macOf('us-east', bytes), undefined);
  });

  it('gives each key of the control bucket a MAC of its own', () => {
    const [one, two] = [fresh(), fresh()];
    const keys = new InternalKeys({ secrets: [one, two], insecure: false });
    const value = Buffer.from('{"holder":"a"}');
    const mac = keys.controlMacOf('lease', value)!;
    assert.equal(keys.controlMacFlaw('lease', value, mac), undefined);
    assert.match(String(keys.controlMacFlaw('leadership', value, mac)), /not of a process of this cluster/);
    assert.match(String(keys.controlMacFlaw('lease', Buffer.from('{}'), mac)), /not of a process of this cluster/);
    assert.match(String(keys.controlMacFlaw('lease', value, undefined)), /carries no MAC/);
    // No message of a region is a value, whatever the region's name.
    assert.notEqual(keys.macOf('lease', value), mac);
    assert.equal(keys.isPresent(mac), true);
    assert.equal(new InternalKeys({ secrets: [two, one], insecure: false }).isPresent(mac), false);
  });

  it('is required, unless the process may be insecure', () => {
    const metrics = createMetrics({ process: 'region', name: 'a' });
    const open = (values: typeof none) =>
      openInternalSecret({ program: 'region', values, clock, log: silentLog, metrics });
    assert.throws(() => open(none), /region: there is no internal secret[\s\S]*openssl rand[\s\S]*--insecure-internal/);
    assert.equal(open({ ...none, insecureInternal: true }).keys.count, 0);
    assert.throws(() => readInternalKeys({ ...none, internalSecret: fresh(), internalSecretFile: '/x' }), ConfigError);
    assert.throws(() => readInternalKeys({ ...none, internalSecretFile: '/nowhere/at-all' }), /cannot be read/);
  });

  it('is read again when its file changes; a file that became unusable changes nothing', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tidal-secret-'));
    const file = join(directory, 'secret');
    const [one, two] = [fresh(), fresh()];
    writeFileSync(file, one);
    const errors: string[] = [];
    const { keys, stop } = openInternalSecret({
      program: 'router',
      values: { ...none, internalSecretFile: file },
      clock,
      log: { ...silentLog, error: (message: string) => errors.push(message) },
      metrics: createMetrics({ process: 'router', name: 'a' }),
    });
    try {
      const { authorization = '' } = keys.headers;
      writeFileSync(file, 'not a secret');
      await eventually('it is reported', () => errors.length > 0);
      assert.equal(keys.accepts(authorization), true);
      writeFileSync(file, `${two}\n${one}\n`);
      await eventually('it is read', () => keys.count === 2);
      assert.equal(keys.accepts(authorization), true);
      assert.notEqual(keys.headers.authorization, authorization);
      writeFileSync(file, two);
      await eventually('the former one is invalid', () => !keys.accepts(authorization));
      assert.equal(errors.length, 1);
    } finally {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
