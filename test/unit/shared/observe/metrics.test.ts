import assert from 'node:assert/strict';
import { createMetrics } from '../../../../shared/observe/metrics.ts';

describe('metrics', () => {
  it('render with process and name on every series, help on every metric, and no misnamed gauge', async () => {
    const metrics = createMetrics({ process: 'region', name: 'eu-west' });
    metrics.counter({ name: 'tidal_things_total', help: 'Things.', labels: ['kind'] }).inc({ kind: 'a' }, 2);
    metrics.gauge({ name: 'tidal_depth', help: 'Depth.', collect: (gauge) => gauge.set(7) });
    metrics.histogram({ name: 'tidal_wait_seconds', help: 'Waiting.' }).observe(0.0002);
    const { contentType, text } = await metrics.render();
    assert.match(contentType, /^text\/plain; version=0.0.4/);
    assert.match(text, /tidal_things_total\{kind="a",process="region",name="eu-west"\} 2/);
    assert.match(text, /tidal_depth\{process="region",name="eu-west"\} 7/);
    assert.match(text, /tidal_wait_seconds_bucket\{le="0.00025",process="region",name="eu-west"\} 1/);
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((match) => [match[1], match[2]]));
    const helps = new Set([...text.matchAll(/^# HELP (\S+) \S/gm)].map((match) => match[1]));
    for (const [name = '', type] of types) {
      assert.ok(helps.has(name), `${name} has no help`);
      assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
    }
    assert.ok(types.has('process_cpu_seconds_total') && types.has('nodejs_eventloop_lag_seconds'));
  });

  it('counters have the series that are known at 0 from the start', async () => {
    const metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    const series = [{ outcome: 'good' }, { outcome: 'bad' }];
    const counter = metrics.counter({ name: 'tidal_things_total', help: 'Things.', labels: ['outcome'], series });
    counter.inc({ outcome: 'good' });
    const { text } = await metrics.render();
    assert.match(text, /^tidal_things_total\{outcome="good",.*\} 1$/m);
    assert.match(text, /^tidal_things_total\{outcome="bad",.*\} 0$/m);
  });

  it('refuse names outside the convention', () => {
    const metrics = createMetrics({ process: 'router', name: 'router', nodeMetrics: false });
    assert.throws(() => metrics.counter({ name: 'tidal_things', help: 'x' }), /_total/);
    assert.throws(() => metrics.gauge({ name: 'things', help: 'x' }), /tidal_/);
    assert.throws(() => metrics.gauge({ name: 'tidal_things_total', help: 'x' }), /_total/);
    assert.throws(() => metrics.histogram({ name: 'tidal_wait_seconds_sum', help: 'x' }), /reserved/);
    assert.throws(() => metrics.gauge({ name: 'tidal_things', help: '' }), /help/);
  });

  it('of two services in one process do not meet', async () => {
    const one = createMetrics({ process: 'region', name: 'a', nodeMetrics: false });
    const two = createMetrics({ process: 'region', name: 'b', nodeMetrics: false });
    one.counter({ name: 'tidal_things_total', help: 'Things.' }).inc();
    assert.equal((await two.render()).text.includes('tidal_things_total'), false);
  });
});
