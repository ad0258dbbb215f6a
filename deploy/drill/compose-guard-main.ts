/** Outlives a drill of `docker compose`: starts and resumes everything unless the drill says `done` before its pipe closes. */
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { ComposeProcesses, docker } from './compose-processes.ts';

// A Ctrl+C in the terminal is for the drill, which undoes its faults itself.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});

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
