/** The alert rules and the dashboard against what exists: metrics, and cases in `containers/alerts-cases.yml`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { documentedMetrics } from '../../checkers/documented-metrics.ts';

const fileText = (path: string): string => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8');

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

const rules = (parse(fileText('deploy/prometheus/alerts.yml')) as Rules).groups.flatMap((group) => group.rules);

describe('alert rules', () => {
  it('every alert has a case', () => {
    const cases = fileText('test/containers/alerts-cases.yml');
    const tested = new Set([...cases.matchAll(/alertname="(\w+)"/g)].map(([, name]) => name));
    assert.deepEqual([...tested].sort(), rules.map(({ alert }) => alert).sort());
  });

  it('every rule and every panel of the dashboard uses documented metrics', () => {
    const { region, router, nats } = documentedMetrics(fileText('docs/metrics.md'));
    const known = new Set([...region.keys(), ...router.keys(), ...nats.keys()]);
    const dashboard = fileText('deploy/grafana/dashboards/tidal.json');
    const texts = [...rules.map(({ expr }) => expr), dashboard].join('\n');
    const used = [...texts.matchAll(/\btidal_[a-z0-9_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''));
    assert.ok(used.length > 20);
    assert.deepEqual(
      used.filter((name) => !known.has(name)),
      [],
    );
  });
});
