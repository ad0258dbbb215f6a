/**
 * The report of a drill as one page: the verdict first, then plots, the time-line, the drill. It loads nothing and runs nothing: its
 * policy allows its own style sheet and no script.
 */
import { createHash } from 'node:crypto';
import { type Measure, measureNames, measures, type Outcome, outcomes } from './drill.ts';
import { escaped, plot } from './plot.ts';
import type { DrillReport } from './report.ts';

const style = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2rem; }
.verdict { padding: .8rem 1rem; border-left: .5rem solid; margin: 1rem 0; }
.verdict strong { font-size: 1.5rem; }
.held { border-color: #2a8a3e; } .deviated { border-color: #c62828; }
.aborted { border-color: #e08700; } .could_not_run { border-color: #777; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.wrong { color: #c62828; font-weight: bold; }
figure { margin: 1.5rem 0; } svg { width: 100%; height: auto; }
.grid { stroke: currentColor; stroke-opacity: .15; } .axis { font-size: 11px; fill: currentColor; fill-opacity: .7; }
.mark { stroke: #e08700; stroke-dasharray: 3 3; }
.line { fill: none; stroke-width: 1.5; }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; background: var(--c); }
path.line { stroke: var(--c); }
.s0 { --c: #1f77b4; } .s1 { --c: #d62728; } .s2 { --c: #2ca02c; } .s3 { --c: #9467bd; } .s4 { --c: #8c564b; } .s5 { --c: #17becf; }
pre { overflow: auto; padding: 1rem; border: 1px solid #8884; }
`;

export function pageOf(report: DrillReport): string {
  const { title, why, result, reasons, events, drill, left } = report;
  const hash = createHash('sha256').update(style).digest('base64');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(`${sentence(result)}: ${title}`)}</title>
<style>${style}</style>
</head>
<body>
<div class="verdict ${result}"><strong>${escaped(sentence(result))}</strong>
${list(reasons)}
${writesOf(report)}
</div>
<h1>${escaped(title)}</h1>
<p>${escaped(why)}</p>
<p>Drill ${escaped(report.id)}, began ${escaped(report.started_at)}, took ${seconds(report.took_ms)}.</p>
${left.length === 0 ? '' : `<h2>Not undone</h2>${list(left)}`}
<h2>Outcome</h2>
${outcomeOf(report)}
<h2>Plots</h2>
${plotsOf(report)}
<h2>Time-line</h2>
${table(
  ['time', 'event'],
  events.map(({ at_ms, text }) => [number(seconds(at_ms)), escaped(text)]),
)}
<h2>Steady state</h2>
${steadyOf(report)}
${failuresOf(report)}
<h2>Drill</h2>
<pre>${escaped(JSON.stringify(drill, undefined, 2))}</pre>
</body>
</html>
`;
}

function writesOf({ writes }: DrillReport): string {
  if (writes === null) return '<p>No writes were counted.</p>';
  const { acknowledged, failed, failed_but_counted, lost, doubled, refused_but_counted, regions, named } = writes;
  const wrong = (value: number): string => `<td class="number${value > 0 ? ' wrong' : ''}">${value}</td>`;
  const rows = [
    ['acknowledged', number(String(acknowledged))],
    ['failed', number(`${failed}, of which ${failed_but_counted} count`)],
    ['lost', wrong(lost)],
    ['doubled', wrong(doubled)],
    ['refused, and counted', wrong(refused_but_counted)],
    ...Object.entries(regions).map(([region, found]) => [
      `in ${escaped(region)}`,
      number(`${found.lost} lost, ${found.doubled} doubled`),
    ]),
  ];
  return `${table(['writes', ''], rows)}${list(named)}`;
}

function outcomeOf({ outcome, drill }: DrillReport): string {
  const rows = (Object.entries(outcomes) as [Outcome, string][]).map(([name, what]) => {
    const value = outcome[name];
    return [
      escaped(name),
      number(value === null ? 'not known' : String(value)),
      bound(drill.expect[name]),
      escaped(what),
    ];
  });
  return table(['', 'value', 'expected', ''], rows);
}

function steadyOf({ before, after, drill }: DrillReport): string {
  const shown = (measured: DrillReport['before'], name: Measure): string =>
    number(measured?.[name] === null || measured === null ? 'not known' : String(measured[name]));
  const rows = measureNames.map((name) => [
    escaped(name),
    shown(before, name),
    shown(after, name),
    bound(drill.steady.bounds[name]),
    bound(drill.abort[name]),
    escaped(measures[name]),
  ]);
  return table(['', 'before', 'at the end', 'steady', 'aborted unless', ''], rows);
}

function failuresOf({ failures }: DrillReport): string {
  const rows = Object.entries(failures).map(([code, times]) => [escaped(code), number(String(times))]);
  return rows.length === 0 ? '' : `<h2>Requests that failed</h2>${table(['code', 'times'], rows)}`;
}

function plotsOf({ lag, latency, events, took_ms }: DrillReport): string {
  const marks = events.map(({ at_ms, text }) => ({ atMs: at_ms, text }));
  const regions = [...new Set(lag.flatMap(({ lags }) => Object.keys(lags)))];
  const common = { marks, spanMs: took_ms };
  const byRegion = regions.map((name) => ({
    name,
    points: lag.map(({ at_ms, lags }) => [at_ms, lags[name] ?? null] as const),
  }));
  const times = (['write_p99_ms', 'read_p99_ms'] as const).map((name) => ({
    name,
    points: latency.filter((point) => point[name] !== null).map((point) => [point.at_ms, point[name]] as const),
  }));
  const counts = (['requests', 'failed'] as const).map((name) => ({
    name,
    points: latency.map((point) => [point.at_ms, point[name]] as const),
  }));
  return [
    plot({ title: 'Lag of the regions', unit: 'events', series: byRegion, ...common }),
    plot({ title: 'Latency of the load', unit: 'ms', series: times, ...common }),
    plot({ title: 'Requests of the load', unit: 'each', series: counts, ...common }),
  ].join('\n');
}

function bound(bounds: { readonly min?: number; readonly max?: number } | undefined): string {
  if (bounds === undefined) return '';
  const { min, max } = bounds;
  return [min === undefined ? '' : `at least ${min}`, max === undefined ? '' : `at most ${max}`]
    .filter((text) => text !== '')
    .join(', ');
}

function sentence(result: DrillReport['result']): string {
  const text = result.replaceAll('_', ' ');
  return text[0]!.toUpperCase() + text.slice(1);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? '' : `<ul>${texts.map((text) => `<li>${escaped(text)}</li>`).join('')}</ul>`;
}

/** Other columns are plain markup. */
function number(text: string): string {
  return `<td class="number">${escaped(text)}</td>`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => (text.startsWith('<td') ? text : `<td>${text}</td>`);
  const head = heads.map((text) => `<th>${escaped(text)}</th>`).join('');
  return `<table><tr>${head}</tr>${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}</table>`;
}
