/** `tidal drill run`: runs a drill from its file, and writes its report. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateDirectory } from '../../../shared/config/make-directory.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { messageOf } from '../../../shared/errors/errors.ts';
import { onEndAsked } from '../../../shared/kernel/ending.ts';
import { systemClock as clock, systemRandom as random } from '../../../shared/kernel/system.ts';
import { say } from '../../backup/command.ts';
import { startGuard } from '../../drill/compose-processes.ts';
import { needsProcesses, shortened } from '../../drill/drill.ts';
import { HttpSurface } from '../../drill/http-surface.ts';
import { pageOf } from '../../drill/page.ts';
import { loadDrill } from '../../drill/parse-drill.ts';
import { type DrillReport, results } from '../../drill/report.ts';
import { runDrill } from '../../drill/run-drill.ts';
import { clusterArguments } from '../cluster/request.ts';
import { printable } from '../cluster/table.ts';
import type { Command } from '../command.ts';
import { fileOf } from './files.ts';
import { targetHelp, targetOf, targetOptions } from './target.ts';

export const runDrillFile: Command = {
  summary: 'runs a drill from its file, undoes it, and says whether the cluster held',
  help: `tidal drill run FILE [--report DIRECTORY] [--short] [--target http|local|compose]

FILE is a path, or the name of a drill of the library (tidal drill list). The steady state must hold first, otherwise no step is done.
Whatever the drill does is undone at its end, also when it is aborted, and on Ctrl+C; a second Ctrl+C ends the program at once. Needs a
key with the scopes admin, read and write.

  --report    a directory for the report: a page (report.html) and the same as JSON (report.json)
  --short     waits of at most 2 s, repetitions of at most two${targetHelp}
  --url       a router, or several with commas: the next is asked if one is away; default TIDAL_URL, then http://127.0.0.1:9500
  --key       default TIDAL_API_KEY, where no list of processes shows it
  --json      the report as one line of JSON

Exit code 0: the cluster held. 1: it deviated. 2: the drill could not run, and nothing was done. 3: it was aborted.
`,
  async run(args) {
    const { words, text, flag, json, routers } = clusterArguments(args, {
      words: ['FILE'],
      options: { report: { type: 'string' }, short: { type: 'boolean' }, ...targetOptions },
    });
    const { target, processes } = targetOf(text, routers.urls);
    const file = loadDrill(fileOf(words[0]!));
    const drill = flag('short') ? shortened(file) : file;
    const directory = text('report');
    if (directory !== undefined) makeReportDirectory(directory);
    // Output that cannot be written (a closed terminal, `| head`) ends no drill: what it has done has to be undone.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
    const ending = new AbortController();
    onEndAsked((cause) => {
      if (ending.signal.aborted) process.exit(results.aborted);
      ending.abort(`interrupted (${cause})`);
    });
    const show = (line: string): void => say(printable(line));
    if (!json) show(`${drill.title} (${routers.urls.join(', ')}, ${target})`);
    const guard = target === 'compose' && needsProcesses(drill) ? startGuard() : undefined;
    const report = await runDrill({
      ...{ drill, surface: new HttpSurface(routers), processes, clock, random, signal: ending.signal },
      say: json ? () => {} : show,
    });
    if (report.left.length === 0) guard?.release();
    if (directory !== undefined) writeReport(directory, report);
    say(json ? JSON.stringify(report) : printable(describeReport(report)));
    process.exit(results[report.result]);
  },
};

/** Before the drill: afterwards it would be too late to say so. Throws `ConfigError`. */
function makeReportDirectory(directory: string): void {
  try {
    makePrivateDirectory(directory);
    accessSync(directory, constants.W_OK);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`--report ${directory} cannot be used: ${messageOf(error)}`);
  }
}

/** A disk that is full does not change the result. */
function writeReport(directory: string, report: DrillReport): void {
  try {
    writeFileSync(join(directory, 'report.html'), pageOf(report));
    writeFileSync(join(directory, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  } catch (error) {
    process.stderr.write(`tidal: the report was not written: ${messageOf(error)}\n`);
  }
}

/** The verdict in a few lines. */
export function describeReport({ result, reasons, writes, outcome }: DrillReport): string {
  const ms = (value: number | null): string => (value === null ? 'not known' : `${value} ms`);
  return [
    `${result.replaceAll('_', ' ')}${reasons.length === 0 ? '' : ':'}`,
    ...reasons.map((reason) => `  ${reason}`),
    ...(writes === null
      ? []
      : [
          `writes: ${writes.acknowledged} acknowledged, ${writes.failed} failed, ${writes.lost} lost, ${writes.doubled} doubled`,
        ]),
    `time to detect ${ms(outcome.time_to_detect_ms)}, to converge ${ms(outcome.time_to_converge_ms)}, worst write ${ms(outcome.worst_write_ms)}`,
  ].join('\n');
}
