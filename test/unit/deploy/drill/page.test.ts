/** The report as a page: the verdict first, nothing that runs or loads, and text that stays text. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { pageOf } from '../../../../deploy/drill/page.ts';
import { parseDrill } from '../../../../deploy/drill/parse-drill.ts';
import { plot } from '../../../../deploy/drill/plot.ts';
import type { DrillReport } from '../../../../deploy/drill/report.ts';
import { runDrill } from '../../../../deploy/drill/run-drill.ts';
import { SimulatedSurface } from '../../../harness/drills/simulated-surface.ts';
import { ManualClock } from '../../../harness/kernel/manual-clock.ts';
import { seededRandom } from '../../../harness/kernel/seeded-random.ts';

const hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>';

async function reportOf(): Promise<DrillReport> {
  const clock = new ManualClock();
  const surface = new SimulatedSurface(clock);
  surface.fate = (n) => (n === 20 ? { copies: (region) => (region === 'ap-south' ? 0 : 1) } : {});
  const text = `title: ${JSON.stringify(hostile)}
why: ${JSON.stringify(hostile)}
steady: { lag_events: { max: 10 }, converged: true }
load: { writers: 1, writes_per_second: 10, readers: 1, reads_per_second: 5 }
steps: [ { partition: follower }, { wait: 5s }, { heal: follower } ]
expect: { failed_writes: { max: 0 } }
`;
  const drill = parseDrill(text, 'drill.yaml');
  const signal = new AbortController().signal;
  const options = { drill, surface, processes: undefined, clock, random: seededRandom(3), say: () => {}, signal };
  return clock.run(runDrill(options), 600_000);
}

describe('the page of a drill', () => {
  let report: DrillReport;
  let page: string;
  before(async () => {
    report = await reportOf();
    page = pageOf(report);
  });

  it('has the verdict first', () => {
    const body = page.slice(page.indexOf('<body>'));
    assert.match(
      body,
      /^<body>\n<div class="verdict deviated"><strong>Deviated<\/strong>\n<ul><li>1 acknowledged writes are lost<\/li>/,
    );
    assert.match(body, /<td>lost<\/td><td class="number wrong">1<\/td>/);
    assert.match(body, /<td>in ap-south<\/td><td class="number">1 lost, 0 doubled<\/td>/);
    for (const later of ['<h1>', '<svg', 'Time-line']) assert.ok(body.indexOf(later) > body.indexOf('lost'), later);
  });

  it('runs and loads nothing, and its policy allows its own style sheet alone', () => {
    assert.doesNotMatch(page, /<script|<img|<link|<iframe|@import|url\(|\sstyle=/i);
    const [, style] = /<style>([\s\S]*?)<\/style>/.exec(page)!;
    const hash = createHash('sha256').update(style!).digest('base64');
    assert.ok(
      page.includes(`content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'"`),
    );
  });

  it('text of the drill stays text, and every element is closed', () => {
    assert.ok(page.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
    const open: string[] = [];
    for (const [whole, slash, name] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*>/g)) {
      if (['meta', 'html'].includes(name!) || whole.endsWith('/>')) continue;
      if (slash === '') open.push(name!);
      else assert.equal(open.pop(), name, whole);
    }
    assert.deepEqual(open, []);
  });

  it('has plots of lag, latency and requests, with the events as marks', () => {
    assert.equal([...page.matchAll(/<svg /g)].length, 3);
    for (const name of ['us-east', 'eu-west', 'ap-south', 'write_p99_ms', 'read_p99_ms', 'requests', 'failed'])
      assert.match(page, new RegExp(`<path class="line s\\d" d="M[^"]+"><title>${name}</title></path>`), name);
    assert.match(page, /<line class="mark"[^>]*><title>eu-west partitioned<\/title><\/line>/);
    assert.doesNotMatch(page, /NaN|undefined|Infinity/);
  });

  it('a drill that could not run has a page too', () => {
    const empty = { ...report, result: 'could_not_run', writes: null, before: null, after: null } as const;
    const text = pageOf({ ...empty, lag: [], latency: [], events: [], took_ms: 0 });
    assert.match(text, /<strong>Could not run<\/strong>/);
    assert.doesNotMatch(text, /NaN|undefined|Infinity/);
  });

  it('a line is interrupted where a value is not known', () => {
    const svg = plot({
      title: 't',
      unit: 'u',
      marks: [],
      spanMs: 10_000,
      series: [
        {
          name: 's',
          points: [
            [0, 1],
            [1_000, 2],
            [2_000, null],
            [3_000, 1],
          ],
        },
      ],
    });
    assert.match(svg, /d="M64 94L142.4 14M299.2 94"/);
  });
});
