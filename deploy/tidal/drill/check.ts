/** `tidal drill check` and `tidal drill list`: of the files of drills. */
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { CommandError, say } from '../../backup/command.ts';
import { needsProcesses } from '../../drill/drill.ts';
import { loadDrill } from '../../drill/parse-drill.ts';
import { tableOf } from '../cluster/table.ts';
import type { Command } from '../command.ts';
import { fileOf, libraryNames } from './files.ts';

export const checkDrills: Command = {
  summary: 'whether drills can be run, with all mistakes of their files',
  help: `tidal drill check FILE…

Reads the files, or drills of the library by their names, and says of each whether it is accepted. Nothing is run.

Exit code 0: all are accepted. 1: some are not. 2: invalid arguments.
`,
  run(args) {
    if (args.length === 0 || args.some((word) => word.startsWith('-')))
      throw new ConfigError(`expected FILE… after the command, not "${args.join(' ')}"`);
    let refused = 0;
    for (const file of args.map(fileOf)) {
      try {
        loadDrill(file);
        say(`${file}: accepted`);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        refused++;
        say(error.message);
      }
    }
    if (refused > 0) throw new CommandError(`${refused} of ${args.length} drills cannot be used`);
  },
};

export const listDrills: Command = {
  summary: 'the drills of the library',
  help: `tidal drill list

Names and titles of the drills that come with the program, and whether one needs the processes (--target local or compose).
`,
  run(args) {
    if (args.length > 0) throw new ConfigError(`expected no words after the command, not "${args.join(' ')}"`);
    const drills = libraryNames().map((name) => ({ name, drill: loadDrill(fileOf(name)) }));
    say(
      tableOf(drills, [
        ['NAME', ({ name }) => name],
        ['NEEDS', ({ drill }) => (needsProcesses(drill) ? 'processes' : 'http')],
        ['TITLE', ({ drill }) => drill.title],
      ]),
    );
  },
};
