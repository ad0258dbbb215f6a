/** What the command line and the demo are given for the cluster: refused in a sentence, and not shown, if it may hold a secret. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startTidal } from '../../../../harness/clients/tidal-command.ts';

const demo = fileURLToPath(new URL('../../../../../deploy/local/demo.js', import.meta.url));

describe('tidal, given what cannot be', function () {
  this.timeout(60_000);

  it('refuses a key and an address in one sentence, without showing them', async () => {
    const cases: readonly [args: readonly string[], environment: Record<string, string>, said: RegExp][] = [
      [
        ['status', '--key', 'pw\nx'],
        {},
        /^tidal: --key must be visible ASCII characters without spaces; .*\nTry --help\.\n$/,
      ],
      [['verify', '--key', 'pw x'], {}, /^tidal: --key must be/],
      [['status'], { TIDAL_API_KEY: 'pw\n' }, /^tidal: TIDAL_API_KEY must be visible ASCII/],
      [['drill', 'stop'], { TIDAL_API_KEY: 'pw\u00e9' }, /^tidal: TIDAL_API_KEY must be visible ASCII/],
      [
        ['status', '--url', 'http://me:pw@127.0.0.1:1'],
        {},
        /^tidal: --url must be an http or https address .*\nTry --help\.\n$/,
      ],
      [['status', '--url', 'http://127.0.0.1:1,http://127.0.0.1:2?key=pw'], {}, /^tidal: --url must be/],
      [['feed'], { TIDAL_URL: 'me:pw@router' }, /^tidal: TIDAL_URL must be an http or https address/],
    ];
    for (const [args, environment, said] of cases) {
      const { code, stdout, stderr } = await startTidal(args, environment).done;
      assert.deepEqual([code, stdout], [2, ''], args.join(' '));
      assert.match(stderr, said);
      assert.doesNotMatch(stderr, /pw/);
    }
  });

  it('has no key if its variable is empty', async () => {
    const { code, stderr } = await startTidal(['status', '--url', 'http://127.0.0.1:1'], { TIDAL_API_KEY: '' }).done;
    assert.equal(code, 1);
    assert.match(stderr, /no answer from http:\/\/127\.0\.0\.1:1: /);
  });

  it('refuses the same for the demo', () => {
    for (const [args, TIDAL_API_KEY, said] of [
      [['--url', 'http://me:pw@127.0.0.1:1'], '', /demo: --url must be an http or https address/],
      [[], 'pw\n', /demo: TIDAL_API_KEY must be visible ASCII/],
    ] as const) {
      const env = { ...process.env, TIDAL_API_KEY };
      const { status, stderr } = spawnSync(process.execPath, [demo, ...args], { env, encoding: 'utf8' });
      assert.equal(status, 2);
      assert.match(stderr, said);
      assert.doesNotMatch(stderr, /pw/);
    }
  });
});
