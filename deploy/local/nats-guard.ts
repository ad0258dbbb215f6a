/**
 * Runs nats-server and ends it when standard input closes, which happens however the launcher dies: nats-server itself watches no
 * pipe. It translates nats-server's log to the services' format.
 *
 * `node nats-guard.js <nats-server> <config file> <pid file> <url>`. If this process is killed, nats-server continues; the next
 * guard identifies it by the pid file and the config file in its command line, and ends it before it starts its own.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { onEndAsked } from '../../shared/kernel/ending.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { createLog } from '../../shared/observe/log.ts';
import { endLeftover } from './own-process.ts';

const [program, configFile, pidFile, url] = process.argv.slice(2) as [string, string, string, string];
const log = createLog({ name: 'nats', level: 'info', clock });
const endLimitMs = 5_000;

if (await endLeftover(pidFile, configFile, clock)) log.warn('stopped a nats-server left by an earlier run');
// It logs to standard error. If it inherited our standard output, the launcher could not detect the death of this process.
const server = spawn(program, ['--config', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
let asked = false;

function end(cause: string): void {
  if (asked) return;
  asked = true;
  log.info('shutdown signal received', { cause });
  server.kill('SIGTERM');
  clock.after(endLimitMs, () => server.kill('SIGKILL'));
}

// [pid] date time [INF] text
const logLine = /^\[\d+\] \S+ \S+ \[(\w+)\] (.*)$/;
createInterface({ input: server.stderr }).on('line', (line) => {
  const [, level, text = line] = logLine.exec(line) ?? [];
  if (text === 'Server is ready') log.info(`listening on ${url}`);
  else if (level === 'INF' || level === 'DBG') log.info(text);
  // The file is its owner's alone, and made for one run: what a hash of the passwords would protect from cannot read it.
  else if (text.startsWith('Plaintext passwords detected')) log.debug(text);
  else if (level === 'WRN') log.warn(text);
  else log.error(text);
});
server.on('error', (error) => {
  log.error('nats-server not started', { error });
  process.exit(1);
});
server.on('exit', (code, signal) => {
  if (asked) log.info('stopped');
  else log.error('nats-server exited', { code, signal });
  process.exit(asked ? 0 : 1);
});
onEndAsked(end);
