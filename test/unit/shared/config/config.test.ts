import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { parseLauncherConfig } from '../../../../deploy/local/launcher-config.ts';
import { parseRegionConfig, type RegionConfig } from '../../../../services/region/region-config.ts';
import { parseRouterConfig } from '../../../../services/router/router-config.ts';
import { packageRoot } from '../../../../shared/config/settings-table.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';

describe('configuration', () => {
  const region = (args: string[], env: Record<string, string> = {}): RegionConfig => {
    const parsed = parseRegionConfig({ args, env });
    assert.ok('config' in parsed);
    return parsed.config;
  };

  it('has defaults that count from the package', () => {
    const config = region(['--region', 'us-east']);
    assert.deepEqual(config.listen, { host: '127.0.0.1', port: 9510 });
    assert.equal(config.schemaFile, join(packageRoot, 'deploy/config/default-schema.yaml'));
    assert.equal(config.topologyFile, join(packageRoot, 'deploy/config/default-cluster.yaml'));
    assert.equal(config.dataDir, resolve('.tidal/us-east'));
    assert.equal(config.natsUrl, 'nats://127.0.0.1:4222');
    assert.ok(Object.isFrozen(config) && Object.isFrozen(config.listen));
  });

  it('lets flags win over the environment and ignores empty variables', () => {
    const env = {
      TIDAL_REGION: 'eu-west',
      TIDAL_LISTEN: '',
      TIDAL_SCHEMA: 'own.yaml',
      TIDAL_INTAKE_QUEUE_LIMIT: '2000',
    };
    const config = region(['--schema=other.yaml', '--listen', '[::1]:0'], env);
    assert.equal(config.region, 'eu-west');
    assert.deepEqual(config.listen, { host: '::1', port: 0 });
    assert.equal(config.schemaFile, resolve('other.yaml'));
    assert.equal(config.intakeQueueLimit, 2_000);
  });

  it('one client has half of the idempotency keys, however many they are, unless it says otherwise', () => {
    const limitOf = (...args: string[]): number => region(['--region', 'us-east', ...args]).clientIdempotencyKeys;
    assert.equal(limitOf(), 10_000_000);
    assert.equal(limitOf('--idempotency-keys-limit', '1001'), 501);
    assert.equal(limitOf('--idempotency-keys-limit', '1001', '--client-idempotency-keys', '7'), 7);
    assert.equal(limitOf('--client-idempotency-keys', '0'), 0);
  });

  it('refuses what it does not understand, by name', () => {
    const cases: [string[], Record<string, string>, RegExp][] = [
      [[], {}, /--region \(TIDAL_REGION\) is required/],
      [['--region', 'US East'], {}, /us-east/],
      [['--region', 'a', '--colour', 'red'], {}, /unknown argument "--colour"; known: --region/],
      [['--region', 'a', 'stray'], {}, /unknown argument "stray"/],
      [['--region'], {}, /--region needs a value/],
      [['--region', 'a', '--listen', 'nowhere'], {}, /host:port/],
      [['--region', 'a', '--listen', 'h:70000'], {}, /host:port/],
      [['--region', 'a'], { TIDAL_INTAKE_QUEUE_LIMIT: '12x' }, /must be an integer from 1000 to 10000000, not "12x"/],
      [['--region', 'a', '--intake-queue-limit', '5'], {}, /from 1000/],
      [['--region', 'a', '--log-level', 'loud'], {}, /loud|possible values/],
    ];
    for (const [args, env, message] of cases) {
      assert.throws(
        () => parseRegionConfig({ args, env }),
        (error: Error) => {
          assert.ok(error instanceof ConfigError, `${args}: ${error}`);
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });

  it('prints every setting in the help', () => {
    const parsed = parseRouterConfig({ args: ['--help'], env: {} });
    assert.ok('help' in parsed);
    for (const word of ['--listen', 'TIDAL_LISTEN', '127.0.0.1:9500', '--held-writes-ms', '10000', 'NATS_URL']) {
      assert.ok(parsed.help.includes(word), word);
    }
  });

  it('of the router takes a secret from the environment only, and never shows it', () => {
    const env = { TIDAL_API_KEY: 'not a bearer token' };
    assert.throws(
      () => parseRouterConfig({ args: [], env }),
      (error: Error) => error instanceof ConfigError && !error.message.includes('not a bearer token'),
    );
    assert.throws(() => parseRouterConfig({ args: ['--api-key', 'x'], env: {} }), /unknown argument "--api-key"/);
    const parsed = parseRouterConfig({ args: ['--listen', '0.0.0.0:9500'], env: { TIDAL_API_KEY: 'secret' } });
    assert.ok('config' in parsed && parsed.config.apiKey === 'secret');
  });

  it('of router and launcher refuses a public address without a key, and says what to do', () => {
    const parsers = [parseRouterConfig, parseLauncherConfig];
    const allowed: [string[], Record<string, string>][] = [
      [[], {}],
      [['--listen', '127.1.2.3:9500'], {}],
      [['--listen', '[::1]:9500'], {}],
      [['--listen', 'localhost:9500'], {}],
      [['--listen', '0.0.0.0:9500', '--insecure'], {}],
      [['--listen', '0.0.0.0:9500'], { TIDAL_INSECURE: '1' }],
      [['--listen', '0.0.0.0:9500'], { TIDAL_API_KEY: 'secret' }],
      [['--listen', '0.0.0.0:9500', '--api-keys-file', 'keys.yaml'], {}],
    ];
    for (const parse of parsers) {
      for (const [args, env] of allowed) assert.ok('config' in parse({ args, env }), args.join(' '));
      for (const host of ['0.0.0.0', '[::]', '10.0.0.1', 'router', '[::ffff:127.0.0.1]', '127.example.org']) {
        for (const env of [{}, { TIDAL_API_KEY: '', TIDAL_INSECURE: '0' }]) {
          assert.throws(
            () => parse({ args: ['--listen', `${host}:9500`], env }),
            (error: Error) => {
              assert.ok(error instanceof ConfigError);
              for (const way of ['TIDAL_API_KEY', 'TIDAL_API_KEYS_FILE', '127.0.0.1', '--insecure']) {
                assert.ok(error.message.includes(way), `${way}: ${error.message}`);
              }
              return true;
            },
          );
        }
      }
    }
  });

  it('takes a switch as a flag without a value, or as 1 or 0', () => {
    for (const text of ['1', 'true']) {
      const parsed = parseRouterConfig({ args: [], env: { TIDAL_INSECURE: text } });
      assert.ok('config' in parsed && parsed.config.insecure);
    }
    assert.throws(() => parseRouterConfig({ args: [], env: { TIDAL_INSECURE: 'yes' } }), /must be 1 or 0, not "yes"/);
    assert.throws(() => parseRouterConfig({ args: ['--insecure', '1'], env: {} }), /unknown argument "1"/);
  });

  it('of the router takes origins, methods and headers of pages, and refuses what is none', () => {
    const parse = (env: Record<string, string>) => {
      const parsed = parseRouterConfig({ args: [], env });
      assert.ok('config' in parsed);
      return parsed.config.cors;
    };
    assert.equal(parse({}), undefined);
    assert.equal(parse({ TIDAL_CORS_ORIGINS: '*' })?.origins, '*');
    const cors = parse({
      TIDAL_CORS_ORIGINS: 'https://a.example, http://localhost:3000',
      TIDAL_CORS_METHODS: 'get,POST',
      TIDAL_CORS_HEADERS: 'Content-Type, X-Own',
    });
    assert.deepEqual(cors, {
      origins: ['https://a.example', 'http://localhost:3000'],
      methods: ['GET', 'POST'],
      headers: ['Content-Type', 'X-Own'],
    });
    for (const origins of ['a.example', 'https://a.example/', 'https://a.example/x', '*,https://a.example', 'null']) {
      assert.throws(() => parse({ TIDAL_CORS_ORIGINS: origins }), /--cors-origins/, origins);
    }
    assert.throws(() => parse({ TIDAL_CORS_METHODS: 'GET POST' }), /--cors-methods/);
    assert.throws(() => parse({ TIDAL_CORS_HEADERS: 'a:b' }), /--cors-headers/);
  });

  it('of the router has the documented limits', () => {
    const parsed = parseRouterConfig({ args: [], env: {} });
    assert.ok('config' in parsed);
    assert.equal(parsed.config.maxBodyBytes, 2 * 1024 * 1024);
    assert.equal(parsed.config.heldWritesLimit, 2_000);
    assert.equal(parsed.config.heldWritesMs, 10_000);
  });
});
