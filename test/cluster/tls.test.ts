/** TLS between router and regions and between regions: who is let in, and certificates that are replaced while the cluster runs. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Dispatcher } from 'undici';
import { type Issued, newAuthority } from '../../deploy/tidal/certificates/issue.ts';
import { ClusterCertificates, DAYS } from '../harness/certificates/cluster-certificates.ts';
import { Acknowledged } from '../harness/clients/acknowledged.ts';
import { internalHeaders } from '../harness/clients/internal.ts';
import { keepWriting } from '../harness/clients/keep-writing.ts';
import { requestJson } from '../harness/clients/request-json.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster, defaultRegions } from '../harness/processes/cluster.ts';
import { NodeProcess } from '../harness/processes/node-process.ts';

const processes = [...defaultRegions, 'router'];

describe('TLS inside the cluster', function () {
  this.timeout(300_000);
  const certificates = new ClusterCertificates();
  let cluster: Cluster;
  /** Of the test itself. */
  let own: Issued;
  let agent: Dispatcher;

  before(async () => {
    for (const name of processes) certificates.write(name);
    certificates.writeAuthorities();
    own = certificates.issued('test');
    agent = certificates.agent(own);
    const environmentOf = (name: string) => certificates.environmentOf(name);
    cluster = await Cluster.start({ tls: { environmentOf, dispatcher: agent }, syncAlways: true });
  });
  after(async () => {
    await cluster?.stop();
    await certificates.remove();
  });

  const metricOf = async (url: string, pattern: RegExp, through?: Dispatcher): Promise<number> =>
    Number(pattern.exec((await requestJson<string>(`${url}/metrics`, {}, through)).body)?.[1]);
  const refusedHandshakes = /^tidal_tls_refused_total\{.*reason="handshake".*\} (\d+)$/m;
  const expiry = /^tidal_certificate_expiry_timestamp_seconds\{.*use="internal".*\} ([\d.e+]+)$/m;
  const verified = (): Promise<void> =>
    eventually(
      'all regions have one state',
      async () => (await cluster.post('/cluster/verify', {})).body.converged === true,
      60_000,
    );
  const notes = async (): Promise<string> => {
    const { body } = await cluster.get<{ notes: readonly string[] }>('/health');
    return body.notes.join('\n');
  };
  const linesOf = (name: string, text: string): number =>
    cluster.process(name).lines.filter((line) => line.includes(text)).length;

  it('writes, promotions and repairs from peers work, over TLS alone', async () => {
    const told = new Acknowledged();
    for (let entity = 1; entity <= 8; entity++) assert.equal(await told.view(cluster, entity), 200);
    assert.equal((await cluster.post('/cluster/promote', { region: 'eu-west' })).status, 200);
    assert.equal(await told.view(cluster, 1), 200);
    // Neither its disk nor the stream has the log any more: its peers do.
    await cluster.kill('ap-south');
    rmSync(join(cluster.directory, 'ap-south'), { recursive: true });
    await cluster.nats.restart({ wiped: true });
    await cluster.restart('ap-south');
    await cluster.settled(60_000);
    await verified();
    await told.check(cluster);
    for (const name of processes) assert.equal(linesOf(name, 'TLS handshake failed'), 0, name);
  });

  it('a request needs a certificate of the authority and the token; health and metrics need neither', async () => {
    const url = cluster.regionUrls.get('us-east')!;
    const stranger = newAuthority('stranger', { nowMs: Date.now(), days: DAYS });
    const forged = new ClusterCertificates();
    const agents: [what: string, agent: Dispatcher][] = [
      ['no certificate', certificates.agent(undefined)],
      ['another authority', certificates.agent(forged.issued('us-east'), certificates.authorities)],
      ['signed by itself', certificates.agent(stranger)],
      ['for servers only', certificates.agent(certificates.issued('nats', { sides: ['server'] }))],
      ['expired', certificates.agent(certificates.issued('us-east', { agedDays: DAYS + 1 }))],
    ];
    const before = (await cluster.status()).relay_log_len;
    const write = { method: 'POST', body: JSON.stringify({ epoch: 1, atomic: true, writes: [{ k: 'd', e: 1 }] }) };
    for (const [what, agent] of agents) {
      for (const path of ['/internal/status', '/internal/writes', '/feed', '/health/../internal/status', '/metricsx']) {
        const init = { ...(path.endsWith('writes') ? write : {}), headers: internalHeaders };
        const answer = await requestJson<{ code: string; hint: string }>(url + path, init, agent);
        assert.deepEqual([answer.status, answer.body.code], [401, 'unauthenticated'], `${what}: ${path}`);
        assert.equal(answer.headers.get('www-authenticate'), 'Certificate');
        assert.match(answer.body.hint, /TIDAL_TLS_CERT_FILE/);
      }
      for (const path of ['/health/live', '/health/ready', '/metrics', '/metrics?name=x']) {
        assert.equal((await requestJson(url + path, {}, agent)).status, 200, `${what}: ${path}`);
      }
    }
    const withoutToken = await requestJson<{ code: string }>(`${url}/internal/status`, {}, agent);
    assert.deepEqual([withoutToken.status, withoutToken.headers.get('www-authenticate')], [401, 'Bearer']);
    assert.equal((await requestJson(`${url}/internal/status`, { headers: internalHeaders }, agent)).status, 200);
    assert.equal((await cluster.status()).relay_log_len, before);
    await forged.remove();
  });

  it('plain HTTP, and TLS before 1.2, end in the handshake, which is counted', async () => {
    const url = new URL(cluster.regionUrls.get('us-east')!);
    const before = await metricOf(url.origin, refusedHandshakes, agent);
    const plain = await new Promise<string>((resolve) => {
      let text = '';
      const socket = createConnection({ host: url.hostname, port: Number(url.port) });
      socket.on('data', (data) => (text += data));
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
      socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
    });
    assert.doesNotMatch(plain, /HTTP\/1\.1/);
    const old = await new Promise<string>((resolve) => {
      const socket = connectTls({
        ...{ host: url.hostname, port: Number(url.port), ca: certificates.authorities.map(({ cert }) => cert) },
        ...{ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      });
      socket.on('secureConnect', () => resolve('connected'));
      socket.on('error', ({ message }) => resolve(message));
    });
    assert.match(old, /alert protocol version|no protocols available/i);
    await eventually(
      'both are counted',
      async () => (await metricOf(url.origin, refusedHandshakes, agent)) >= before + 2,
    );
  });

  it('certificates and their authority are replaced while the cluster runs, and no write fails', async () => {
    const told = new Acknowledged();
    const stop = keepWriting(cluster, told);
    const kept = certificates.agent(own);
    const asKept = { headers: internalHeaders };
    const url = cluster.regionUrls.get('us-east')!;
    assert.equal((await requestJson(`${url}/internal/status`, asKept, kept)).status, 200);
    const [former] = certificates.authorities;
    certificates.addAuthority();
    const next = certificates.authorities[1]!;
    const step = async (change: () => void): Promise<void> => {
      const before = processes.map((name) => linesOf(name, 'certificate read again'));
      change();
      await eventually('every process has read them', () =>
        processes.every((name, index) => linesOf(name, 'certificate read again') > before[index]!),
      );
    };
    await step(() => certificates.writeAuthorities([former!, next]));
    await step(() => {
      for (const name of processes) certificates.write(name);
    });
    agent = certificates.agent(certificates.issued('test'));
    await step(() => certificates.writeAuthorities([next]));
    // A connection of before is closed after an answer at the latest, and another one is not admitted.
    await eventually('the former certificate is refused', async () => {
      try {
        return (await requestJson(`${url}/internal/status`, asKept, kept)).status === 401;
      } catch {
        // Or the server's certificate is refused by a client that believes the former authority only.
        return true;
      }
    });
    const late = certificates.agent(own, [next]);
    assert.equal((await requestJson(`${url}/internal/status`, asKept, late)).status, 401);
    await stop();
    assert.deepEqual([told.refused, told.unknown.size], [[], 0]);
    assert.ok(told.count > 0);
    for (const name of processes) assert.equal(linesOf(name, 'certificate may be refused'), 0, name);
    await cluster.settled();
    await verified();
  });

  it('a replacement that cannot be used changes nothing, is named, and a right one is used afterwards', async () => {
    const url = cluster.regionUrls.get('eu-west')!;
    const through = certificates.agent(certificates.issued('test'));
    const right = await metricOf(url, expiry, through);
    assert.ok(Math.abs(right - Date.now() / 1_000 - DAYS * 86_400) < 3_600, `${right}`);
    writeFileSync(certificates.path('eu-west-cert.pem'), certificates.issued('eu-west').cert);
    await eventually('it is named', () => linesOf('eu-west', 'is not the key of the certificate') > 0);
    assert.ok(linesOf('eu-west', 'TIDAL_TLS_KEY_FILE') > 0);
    assert.equal(await metricOf(url, expiry, through), right);
    const before = linesOf('eu-west', 'certificate read again');
    certificates.write('eu-west');
    await eventually('it is used', () => linesOf('eu-west', 'certificate read again') > before);
    cluster.process('eu-west').signal('SIGHUP');
    await eventually('SIGHUP reads it too', () => linesOf('eu-west', 'certificate read again') > before + 1);
    await cluster.settled();
  });

  it('a region with a certificate for another name, or of another authority, is named in the health of the cluster', async () => {
    const other = new ClusterCertificates();
    const wrong: [what: string, write: () => void, expected: RegExp][] = [
      [
        'another name',
        () => certificates.write('ap-south', { hosts: ['us-east'] }),
        /ap-south cannot be reached: its certificate is not for 127\.0\.0\.1 but for DNS:us-east/,
      ],
      [
        'another authority',
        () => {
          const { cert, key } = other.issued('ap-south');
          writeFileSync(certificates.path('ap-south-cert.pem'), cert);
          writeFileSync(certificates.path('ap-south-key.pem'), key);
        },
        /ap-south cannot be reached: no authority in TIDAL_TLS_CA_FILE has issued its certificate/,
      ],
    ];
    for (const [what, write, expected] of wrong) {
      await cluster.kill('ap-south');
      write();
      await cluster.restart('ap-south');
      await eventually(`${what}: it is named`, async () => expected.test(await notes()));
      assert.equal((await cluster.post('/signals', { entity_id: 1, signal: 'view' })).status, 200);
    }
    assert.ok(linesOf('ap-south', 'certificate may be refused') > 0);
    await cluster.kill('ap-south');
    certificates.write('ap-south');
    await cluster.restart('ap-south');
    await cluster.settled();
    // A router whose certificate no region accepts names that.
    const { cert, key } = other.issued('router');
    writeFileSync(certificates.path('router-cert.pem'), cert);
    writeFileSync(certificates.path('router-key.pem'), key);
    await cluster.kill('router');
    await cluster.restart('router');
    await eventually('the router names it', async () =>
      /us-east does not accept the certificate of this process \(TIDAL_TLS_CERT_FILE\)/.test(await notes()),
    );
    certificates.write('router');
    await cluster.settled();
    await other.remove();
  });

  it('with TLS that is wrong a process does not start: exit code 2, and a sentence', async () => {
    const topology = join(certificates.directory, 'topology.yaml');
    const topologyWith = (url: string): void =>
      writeFileSync(topology, `leader: us-east\nregions:\n  - name: us-east\n    url: ${url}\n`);
    const flags = ['--listen', '127.0.0.1:0', '--topology', topology];
    const region = ['--region', 'us-east', '--data-dir', certificates.path('none'), ...flags];
    const right = certificates.environmentOf('us-east');
    certificates.write('old', { agedDays: DAYS + 1 });
    const cases: [main: 'region' | 'router', url: string, env: Readonly<Record<string, string>>, expected: RegExp][] = [
      [
        'region',
        'https://us-east:9510',
        certificates.environmentOf('none'),
        /TIDAL_TLS_CERT_FILE \(.*\) cannot be read: ENOENT/,
      ],
      ['router', 'https://us-east:9510', { ...right, TIDAL_TLS_CA_FILE: '' }, /TIDAL_TLS_CA_FILE are given together/],
      ['region', 'https://us-east:9510', certificates.environmentOf('old'), /the certificate "CN=old" expired on 20/],
      ['router', 'http://us-east:9510', right, /must begin with https:\/\/, because this process has TLS/],
      [
        'router',
        'https://us-east:9510',
        { ...right, TIDAL_PUBLIC_TLS_CERT_FILE: right.TIDAL_TLS_CERT_FILE! },
        /TIDAL_PUBLIC_TLS_CERT_FILE and TIDAL_PUBLIC_TLS_KEY_FILE are given together/,
      ],
    ];
    for (const [program, url, env, expected] of cases) {
      topologyWith(url);
      const alone = new NodeProcess({
        ...{ name: 'alone', main: `services/${program}/main.js`, env },
        flags: program === 'region' ? region : flags,
      });
      await assert.rejects(alone.start(), expected);
      assert.equal(await alone.end('SIGKILL'), 2);
    }
  });

  it('the public surface has TLS if it is given a certificate, which is replaced while it runs', async () => {
    certificates.write('public', { sides: ['server'] });
    const flags = ['--listen', '127.0.0.1:0', '--topology', join(cluster.directory, 'topology.yaml')];
    const router = new NodeProcess({
      ...{ name: 'public', main: 'services/router/main.js', flags: [...flags, '--nats', cluster.nats.url] },
      env: {
        ...certificates.environmentOf('router'),
        TIDAL_PUBLIC_TLS_CERT_FILE: certificates.path('public-cert.pem'),
        TIDAL_PUBLIC_TLS_KEY_FILE: certificates.path('public-key.pem'),
      },
    });
    await router.start();
    try {
      const [, url] = /listening on (https:\/\/[^"]+)/.exec(router.lines.join('\n'))!;
      const client = certificates.agent(undefined);
      await eventually('it serves', async () => {
        const init = {
          method: 'POST',
          body: '{"entity_id":1,"signal":"view"}',
          headers: { 'content-type': 'application/json' },
        };
        return (await requestJson(`${url}/signals`, init, client)).status === 200;
      });
      await assert.rejects(requestJson(url!.replace('https', 'http')));
      const serial = (): Promise<string> =>
        new Promise((resolve, reject) => {
          const { hostname: host, port } = new URL(url!);
          const ca = certificates.authorities.map(({ cert }) => cert);
          const socket = connectTls({ host, port: Number(port), ca }, () => {
            resolve(socket.getPeerCertificate().serialNumber);
            socket.destroy();
          });
          socket.on('error', reject);
        });
      const before = await serial();
      certificates.write('public', { sides: ['server'] });
      await eventually('the next one is shown', async () => (await serial()) !== before);
      assert.equal((await requestJson(`${url}/cluster/status`, {}, client)).status, 200);
    } finally {
      await router.end('SIGKILL');
    }
  });
});
