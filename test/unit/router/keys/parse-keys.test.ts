import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseKeys } from '../../../../services/router/keys/parse-keys.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const digest = sha256('secret');

const refusal = (text: string): string => {
  try {
    parseKeys(text, 'keys.yaml');
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  assert.fail(`accepted: ${text}`);
};

describe('the keys file', () => {
  it('has keys with a name, scopes and the digest of their secret; an expiry and a rate if wanted', () => {
    const text = `
keys:
  - name: web
    scopes: [read, write]
    sha256: ${digest}
  - name: prometheus.eu
    scopes: [metrics]
    sha256: "${sha256('other').toUpperCase()}"
    expires: 2027-06-30T00:00:00Z
    rate: 0.5
`;
    assert.deepEqual(parseKeys(text, 'keys.yaml'), [
      { name: 'web', scopes: ['read', 'write'], digest: Buffer.from(digest, 'hex') },
      {
        name: 'prometheus.eu',
        scopes: ['metrics'],
        digest: Buffer.from(sha256('other'), 'hex'),
        expiresMs: Date.UTC(2027, 5, 30),
        rate: 0.5,
      },
    ]);
  });

  it('is accepted as docs/keys.md shows it', () => {
    const page = readFileSync(new URL('../../../../../docs/keys.md', import.meta.url), 'utf8');
    const [, example] = /```yaml\n([^`]+)```/.exec(page) ?? assert.fail('no example');
    assert.deepEqual(
      parseKeys(example!, 'docs/keys.md').map(({ name }) => name),
      ['web', 'nightly-import'],
    );
  });

  const entry = (lines: Readonly<Record<string, string>>): string => {
    const all = { name: 'web', scopes: '[read]', sha256: digest, ...lines };
    return `keys:\n  - ${Object.entries(all)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n    ')}\n`;
  };
  const mistakes: readonly (readonly [what: string, text: string, says: RegExp])[] = [
    ['nothing', '', /keys\.yaml.*\n.*must be a mapping with the keys keys/],
    ['no list', 'keys: 5', /keys \(line 1\): must be a list of 1 to 256/],
    ['an empty list', 'keys: []', /must be a list of 1 to 256 elements, not 0/],
    ['an unknown key of the file', 'key: []', /key \(line 1\): is not a known key; accepted keys: keys/],
    ['an unknown key of an entry', entry({ scope: 'read' }), /keys\[0\]\.scope.*accepted keys: name, scopes, sha256/],
    ['a missing name', `keys:\n  - scopes: [read]\n    sha256: ${digest}`, /lacks the key name/],
    ['an upper-case name', entry({ name: 'Web' }), /keys\[0\]\.name.*lower-case.*"Web"/],
    [
      'an unknown scope',
      entry({ scopes: '[read, all]' }),
      /scopes\[1\].*one of read, write, admin, metrics, not "all"/,
    ],
    ['no scope', entry({ scopes: '[]' }), /keys\[0\]\.scopes.*a list of 1 to 4/],
    ['a scope that is not in a list', entry({ scopes: 'read' }), /keys\[0\]\.scopes.*must be a list/],
    ['a date for an expiry', entry({ expires: '2027-06-30' }), /keys\[0\]\.expires.*RFC 3339 time, for example/],
    ['a rate of 0', entry({ rate: '0' }), /keys\[0\]\.rate.*from 0\.001 to 1000000, not 0/],
    ['broken YAML', 'keys: [', /line 1/],
  ];
  for (const [what, text, says] of mistakes) it(`refuses ${what}`, () => assert.match(refusal(text), says));

  it('refuses a secret in place of its digest, and does not show it', () => {
    const message = refusal(entry({ sha256: 'tidal_my-secret' }));
    assert.match(message, /keys\[0\]\.sha256 \(line 4\): must be the SHA-256 of the secret, 64 hexadecimal digits/);
    assert.doesNotMatch(message, /my-secret/);
  });

  it('refuses two keys of one name or one secret, and reports every mistake at once', () => {
    const other = entry({}).replace('keys:\n', '');
    const message = refusal(`${entry({ rate: '-1' })}${other}`);
    assert.match(message, /keys\[1\].*has the name of another key, web/);
    assert.match(message, /keys\[1\].*has the sha256 of another key/);
    assert.match(message, /keys\[0\]\.rate/);
  });
});
