/** What a process identifies itself to the broker with: a file that cannot be used is named by its setting, and never quoted. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../shared/errors/config-error.ts';
import { checkIdentity } from '../../../../shared/stream/jetstream-access.ts';
import { NatsJwts } from '../../../harness/stream/nats-jwts.ts';

describe('the identity of a process at the broker', () => {
  const nowMs = Date.parse('2027-01-10T12:00:00Z');
  const directory = mkdtempSync(join(tmpdir(), 'broker-identity-'));
  const path = join(directory, 'user.creds');
  after(() => rmSync(directory, { recursive: true }));

  const jwts = new NatsJwts();
  const whole = jwts.credentials('router', { expires: nowMs / 1_000 + 60 });
  const [head = '', claims = '', signature = ''] = /JWT-+\n(\S+)\n/.exec(whole)![1]!.split('.');
  const withClaims = (text: string): string => whole.replace(claims, text);
  const encoded = (text: string): string => Buffer.from(text).toString('base64url');
  const check = (text: string): void => {
    writeFileSync(path, text);
    checkIdentity({ identity: { credsFile: path } }, nowMs);
  };

  it('credentials that are whole and valid are accepted', () => {
    check(whole);
    check(jwts.credentials('router'));
  });

  const cases: [what: string, text: string, expected: RegExp][] = [
    ['nothing of it', 'nothing', /is not a credentials file with a user’s JWT and seed/],
    ['a JWT that is cut off', whole.replace(`${claims}.${signature}`, claims.slice(0, 40)), /its JWT is damaged/],
    ['a JWT without claims', whole.replace(`${head}.${claims}.${signature}`, head), /its JWT is damaged/],
    ['claims that are no JSON', withClaims(encoded('{"exp":')), /its JWT is damaged/],
    ['claims that are none', withClaims(encoded('null')), /its JWT is damaged/],
    ['a time that is none', withClaims(encoded('{"exp":"soon"}')), /its JWT is damaged/],
    ['a time beyond all', withClaims(encoded('{"exp":-1e300}')), /its JWT is damaged/],
    ['a seed that is damaged', whole.replace(/\nSU\S{20}/, '\nSU'), /is not a credentials file/],
    ['an expired JWT', jwts.credentials('router', { expires: 1_700_000_000 }), /JWT expired on 2023-11-14T22:13:20/],
  ];
  for (const [what, text, expected] of cases) {
    it(`refused: ${what}`, () => {
      assert.throws(
        () => check(text),
        (error) => {
          assert.ok(error instanceof ConfigError);
          assert.ok(error.message.startsWith(`NATS_CREDS_FILE (${path})`), error.message);
          assert.match(error.message, expected);
          assert.doesNotMatch(error.message, /SU[A-Z0-9]{10}|eyJ/);
          return true;
        },
      );
    });
  }
});
