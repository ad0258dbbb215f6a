/** `deploy/compose.tls.yaml` and the files beside it against those that they vary: nothing but TLS differs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { tlsSettings } from '../../../shared/credentials/tls-settings.ts';
import { brokerSettings } from '../../../shared/stream/broker-access.ts';
import { serverSettings } from '../../../shared/stream/servers.ts';

const fileText = (path: string): string => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment?: object; readonly volumes?: readonly string[] }>>;
  readonly volumes: object;
}

interface Prometheus {
  readonly scrape_configs: readonly ({ readonly job_name: string } & Readonly<Record<string, unknown>>)[];
}

describe('TLS of docker compose', () => {
  const base = parse(fileText('compose.yaml'), { merge: true }) as Compose;
  const tls = parse(fileText('deploy/compose.tls.yaml'), { merge: true }) as Compose;

  it('varies services that exist, by settings that exist, and mounts volumes that exist', () => {
    const settings = Object.values({ ...tlsSettings, ...brokerSettings, ...serverSettings }).map(
      ({ env }) => env as string,
    );
    const volumes = [...Object.keys(base.volumes), ...Object.keys(tls.volumes)];
    for (const [name, { environment = {}, volumes: mounted = [] }] of Object.entries(tls.services)) {
      assert.ok(name in base.services, name);
      for (const variable of Object.keys(environment)) assert.ok(settings.includes(variable), variable);
      for (const mount of mounted) assert.ok(mount.startsWith('./') || volumes.includes(mount.split(':')[0]!), mount);
    }
    for (const name of ['us-east', 'eu-west', 'ap-south', 'router', 'operator']) {
      assert.ok('NATS_CA_FILE' in tls.services[name]!.environment!, name);
      assert.ok('TIDAL_TLS_CA_FILE' in tls.services[name]!.environment!, name);
    }
  });

  it('Prometheus scrapes the same, the regions over TLS', () => {
    const [plain, secure] = ['prometheus', 'prometheus-tls'].map(
      (name) => parse(fileText(`deploy/prometheus/${name}.yml`)) as Prometheus,
    );
    const region = { scheme: 'https', tls_config: { ca_file: '/etc/tidal-tls/tls-ca.pem' } };
    assert.deepEqual(secure, {
      ...plain,
      scrape_configs: plain!.scrape_configs.map((each) => (each.job_name === 'region' ? { ...each, ...region } : each)),
    });
  });
});
