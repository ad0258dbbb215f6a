/**
 * A broker with TLS, nkeys or JWTs: the whole cluster works with the least that each process needs, and what does not fit is named by
 * its setting.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect, credsAuthenticator, nkeyAuthenticator, nkeys } from 'nats';
import { answersTo, launcherUser, type NatsUser, regionUser, routerUser } from '../../deploy/local/nats-users.ts';
import { ClusterCertificates } from '../harness/certificates/cluster-certificates.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster, defaultRegions } from '../harness/processes/cluster.ts';
import { NatsServer } from '../harness/processes/nats-server.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';
import { NatsJwts } from '../harness/stream/nats-jwts.ts';

const names = [...defaultRegions, 'router'];

function userOf(name: string): NatsUser {
  return name === 'router' ? routerUser('') : regionUser(name, '');
}

async function works(cluster: Cluster, told = new Acknowledged()): Promise<void> {
  await eventually('the stream confirms', async () => {
    await told.view(cluster, 1);
    return told.acknowledgements.at(-1)?.durability === 'stream';
  });
  assert.equal((await cluster.post('/cluster/promote', { region: 'eu-west' })).status, 200);
  await eventually('the stream confirms to the next leader', async () => {
    await told.view(cluster, 2);
    return told.acknowledgements.at(-1)?.durability === 'stream';
  });
  await eventually(
    'all regions have one state',
    async () => (await cluster.post('/cluster/verify', {})).body.converged === true,
    60_000,
  );
  await told.check(cluster);
}

describe('credentials of the broker', function () {
  this.timeout(300_000);
  const certificates = new ClusterCertificates();
  const file = (name: string, text: string): string => {
    writeFileSync(certificates.path(name), text, { mode: 0o600 });
    return certificates.path(name);
  };
  const tlsSettings = (verify: boolean): string[] => [
    'tls {',
    `  cert_file: ${JSON.stringify(certificates.path('nats-cert.pem'))}`,
    `  key_file: ${JSON.stringify(certificates.path('nats-key.pem'))}`,
    `  ca_file: ${JSON.stringify(certificates.path('ca.pem'))}`,
    `  verify: ${verify}`,
    '}',
  ];
  const tlsOf = (name: string): Readonly<Record<string, string>> => ({
    NATS_CA_FILE: certificates.path('ca.pem'),
    NATS_CERT_FILE: certificates.path(`${name}-cert.pem`),
    NATS_KEY_FILE: certificates.path(`${name}-key.pem`),
  });
  const secrets: string[] = [];
  const saysNoSecret = (lines: readonly string[]): void => {
    for (const secret of secrets) assert.ok(!lines.some((line) => line.includes(secret)), 'a secret is in the log');
  };

  before(() => {
    certificates.writeAuthorities();
    certificates.write('nats', { sides: ['server'] });
    for (const name of names) certificates.write(name);
  });
  after(() => certificates.remove());

  it('TLS with certificates of both sides, and an nkey for each process that may do the least it needs', async () => {
    const seeds = new Map<string, Buffer>();
    const nkeyOf = (name: string): string => {
      const pair = nkeys.createUser();
      seeds.set(name, Buffer.from(pair.getSeed()));
      secrets.push(seeds.get(name)!.toString());
      file(`${name}.nk`, `${seeds.get(name)}\n`);
      return pair.getPublicKey();
    };
    const natsUsers = new Map<string, NatsUser>(
      [...names, 'operator'].map((name) => [
        name,
        { ...(name === 'operator' ? launcherUser('') : userOf(name)), nkey: nkeyOf(name) },
      ]),
    );
    const cluster = await Cluster.start({
      ...{ natsUsers, natsSettings: tlsSettings(true) },
      environmentOf: (name) => ({ ...tlsOf(name), NATS_NKEY_SEED_FILE: certificates.path(`${name}.nk`) }),
    });
    try {
      const told = new Acknowledged();
      await works(cluster, told);
      const tls = { caFile: certificates.path('ca.pem'), host: '127.0.0.1' };
      const identity = { certFile: certificates.path('router-cert.pem'), keyFile: certificates.path('router-key.pem') };
      const as = (name: string) => ({
        ...{
          servers: cluster.nats.url,
          noAsyncTraces: true,
          inboxPrefix: answersTo(natsUsers.get(name)!).slice(0, -2),
        },
        authenticator: nkeyAuthenticator(seeds.get(name)!),
      });
      await assert.rejects(connect({ ...as('router'), tls }), 'without a certificate');
      const region = await connect({ ...as('eu-west'), tls: { ...tls, ...identity } });
      for (const subject of [
        'tidal.wal.us-east.aaaaaaaaaaaaa',
        '$KV.TIDAL_CONTROL.lease',
        '$JS.API.STREAM.DELETE.TIDAL_WAL',
      ]) {
        await assert.rejects(
          region.request(subject, '', { timeout: 5_000 }),
          { code: 'PERMISSIONS_VIOLATION' },
          subject,
        );
      }
      await region.close();

      // Another authority and certificate of the server: files are read at every connect.
      certificates.addAuthority();
      certificates.writeAuthorities();
      certificates.write('nats', { sides: ['server'] });
      await cluster.nats.restart();
      await cluster.settled(60_000);
      assert.equal((await cluster.post('/cluster/promote', { region: 'us-east' })).status, 200);
      await works(cluster, told);
      for (const { lines } of cluster.processes.values()) saysNoSecret(lines);
      const expiry = /^tidal_certificate_expiry_timestamp_seconds\{.*use="nats".*\} [\d.e+]+$/m;
      assert.match(await (await fetch(`${cluster.url}/metrics`)).text(), expiry);
    } finally {
      await cluster.stop();
    }
  });

  it('an operator with JWTs: a credentials file for each process that may do the least it needs', async () => {
    const jwts = new NatsJwts();
    const credentialsOf = (name: string): string => {
      const { publish, client, user } = userOf(name);
      const text = jwts.credentials(user, { publish: publish!, subscribe: [`_INBOX.${client}.>`] });
      secrets.push(/SU\w{50,}/.exec(text)![0], /eyJ\S{50,}/.exec(text)![0]);
      return file(`${name}.creds`, text);
    };
    for (const name of names) credentialsOf(name);
    const cluster = await Cluster.start({
      natsSettings: jwts.settings,
      environmentOf: (name) => ({ NATS_CREDS_FILE: certificates.path(`${name}.creds`) }),
    });
    try {
      await works(cluster);
      const region = await connect({
        ...{ servers: cluster.nats.url, noAsyncTraces: true, inboxPrefix: '_INBOX.eu-west' },
        authenticator: credsAuthenticator(Buffer.from(jwts.credentials('x', { publish: userOf('eu-west').publish! }))),
      });
      await assert.rejects(region.request('tidal.wal.us-east.a', '', { timeout: 5_000 }), {
        code: 'PERMISSIONS_VIOLATION',
      });
      await region.close();
      for (const { lines } of cluster.processes.values()) saysNoSecret(lines);
    } finally {
      await cluster.stop();
    }
  });

  describe('what does not fit is named', () => {
    const jwts = new NatsJwts();
    const servers = new Map<string, NatsServer>();
    const user = nkeys.createUser();
    before(async () => {
      certificates.write('localhost', { sides: ['server'], hosts: ['localhost'] });
      const localhost = tlsSettings(false).map((line) => line.replace('/nats-', '/localhost-'));
      servers.set('plain', await NatsServer.start());
      servers.set('tls', await NatsServer.start({ settings: tlsSettings(false) }));
      servers.set('verifying', await NatsServer.start({ settings: tlsSettings(true) }));
      servers.set('localhost', await NatsServer.start({ settings: localhost }));
      servers.set('nkeys', await NatsServer.start({ users: [{ ...launcherUser(''), nkey: user.getPublicKey() }] }));
      servers.set('users', await NatsServer.start({ users: [launcherUser('right')] }));
      servers.set('jwts', await NatsServer.start({ settings: jwts.settings }));
    });
    after(async () => {
      for (const server of servers.values()) await server.stop();
      await other.remove();
    });

    const process = (main: string, env: Readonly<Record<string, string>>, url: string): NodeProcess =>
      new NodeProcess({ name: 'router', main, env, flags: ['--listen', '127.0.0.1:0', '--nats', url] });
    const other = new ClusterCertificates();
    const ca = { NATS_CA_FILE: certificates.path('ca.pem') };
    const stranger = (): Readonly<Record<string, string>> => {
      other.write('router');
      return { ...ca, NATS_CERT_FILE: other.path('router-cert.pem'), NATS_KEY_FILE: other.path('router-key.pem') };
    };
    const otherCa = (): Readonly<Record<string, string>> => {
      other.writeAuthorities();
      return { NATS_CA_FILE: other.path('ca.pem') };
    };
    const seedFile = (): Readonly<Record<string, string>> => ({
      NATS_NKEY_SEED_FILE: file('other.nk', Buffer.from(nkeys.createUser().getSeed()).toString()),
    });

    const failures: [
      what: string,
      server: string,
      env: () => Readonly<Record<string, string>>,
      expected: RegExp,
      scheme?: string,
    ][] = [
      ['another authority', 'tls', otherCa, /no authority in NATS_CA_FILE has issued its certificate/],
      ['authorities of the system', 'tls', () => ({}), /no authority in NATS_CA_FILE has issued its certificate/],
      [
        'a certificate for a name, at an address',
        'localhost',
        () => ca,
        /its certificate is not for 127\.0\.0\.1 but for DNS:localhost/,
      ],
      ['a server without TLS', 'plain', () => ca, /the server has no TLS, which NATS_CA_FILE/],
      ['the same, by its address', 'plain', () => ({}), /the server has no TLS/, 'tls'],
      ['no certificate', 'verifying', () => ca, /the server demands a certificate: NATS_CERT_FILE and NATS_KEY_FILE/],
      [
        'a certificate of another authority',
        'verifying',
        stranger,
        /it does not accept the certificate in NATS_CERT_FILE/,
      ],
      ['another nkey', 'nkeys', seedFile, /the server does not accept the nkey in NATS_NKEY_SEED_FILE/],
      [
        'no identity',
        'users',
        () => ({}),
        /does not accept a client without NATS_USER, NATS_NKEY_SEED_FILE or NATS_CREDS_FILE/,
      ],
      [
        'another password',
        'users',
        () => ({ NATS_USER: 'launcher', NATS_PASSWORD_FILE: file('password', 'wrong') }),
        /does not accept the user launcher \(NATS_USER\) with the password in NATS_PASSWORD_FILE/,
      ],
      [
        'credentials of another account',
        'jwts',
        () => ({ NATS_CREDS_FILE: file('foreign.creds', jwts.foreignCredentials('router')) }),
        /the server does not accept the credentials in NATS_CREDS_FILE/,
      ],
    ];
    for (const [what, server, env, expected, scheme = 'nats'] of failures) {
      it(`in the log of a process that serves: ${what}`, async () => {
        const url = servers.get(server)!.url.replace('nats:', `${scheme}:`);
        const router = process('services/router/main.js', env(), url);
        await router.start();
        try {
          await eventually('it is named', () => router.lines.some((line) => expected.test(line)), 20_000);
          saysNoSecret(router.lines);
        } finally {
          await router.end('SIGKILL');
        }
      });
    }

    it('what a file lacks refuses the start, with exit code 2', async () => {
      const expired = jwts.credentials('router', { expires: 1_700_000_000 });
      secrets.push(/SU\w{50,}/.exec(expired)![0]);
      const cases: [env: Readonly<Record<string, string>>, expected: RegExp][] = [
        [{ NATS_CA_FILE: certificates.path('none') }, /NATS_CA_FILE \(.*none\) cannot be read: ENOENT/],
        [
          { ...tlsOf('router'), NATS_KEY_FILE: certificates.path('nats-key.pem') },
          /NATS_KEY_FILE .* is not the key of the certificate/,
        ],
        [{ NATS_NKEY_SEED_FILE: certificates.path('none') }, /NATS_NKEY_SEED_FILE \(.*none\) cannot be read: ENOENT/],
        [
          { NATS_NKEY_SEED_FILE: file('bad.nk', 'SUAGARBAGE') },
          /NATS_NKEY_SEED_FILE .* is not the seed of a user’s nkey/,
        ],
        [{ NATS_CREDS_FILE: certificates.path('none') }, /NATS_CREDS_FILE \(.*none\) cannot be read: ENOENT/],
        [{ NATS_CREDS_FILE: file('bad.creds', 'nothing') }, /NATS_CREDS_FILE .* is not a credentials file/],
        [{ NATS_CREDS_FILE: file('old.creds', expired) }, /NATS_CREDS_FILE .*: the user’s JWT expired on 2023-11-14/],
        [
          { NATS_USER: 'a', NATS_PASSWORD_FILE: certificates.path('none') },
          /NATS_PASSWORD_FILE \(.*none\) cannot be read: ENOENT/,
        ],
      ];
      for (const [env, expected] of cases) {
        const router = process('services/router/main.js', env, servers.get('plain')!.url);
        await assert.rejects(router.start(), expected);
        assert.equal(await router.end('SIGKILL'), 2);
        saysNoSecret(router.lines);
        assert.ok(!router.lines.some((line) => line.includes('SUAGARBAGE')));
      }
    });
  });
});
