/** Outlives a drill of `docker compose`: starts and resumes everything unless the drill says `done` before its pipe closes. */
import { onEndAsked } from '../../shared/kernel/ending.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { ComposeProcesses, docker } from './compose-processes.ts';

// A Ctrl+C is for the drill, which undoes its faults itself; and this process is needed once its parent has ended, also under npm.
onEndAsked(() => {});

let said = '';
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  said += text;
});
process.stdin.on('end', async () => {
  if (said.trim() === 'done') process.exit(0);
  try {
    await new ComposeProcesses({ clock, docker }).startAll();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`tidal drill: not undone: ${(error as Error).message}\n`);
    process.exit(1);
  }
});
