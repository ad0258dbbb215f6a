/**
 * Replaces a region or router under the launcher: listens on the given address, logs as the services do, and keeps a journal of
 * its life in the file `FAKE_JOURNAL` names. With `FAKE_EXIT=<name>:<code>` the one of that name ends at once.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { runService } from '../../../shared/kernel/lifecycle.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { createLog } from '../../../shared/observe/log.ts';

const text = { type: 'string' } as const;
const cluster = { region: text, listen: text, 'data-dir': text, schema: text, nats: text, topology: text } as const;
const access = { 'api-keys-file': text, 'metrics-access': text, insecure: { type: 'boolean' } } as const;
const options = { ...cluster, ...access };
const { values } = parseArgs({ options });
const name = values.region ?? 'router';
const log = createLog({ name, level: 'info', clock: systemClock });
const journal = (what: string): void =>
  appendFileSync(process.env.FAKE_JOURNAL ?? '/dev/null', `${name} ${what} ${process.pid}\n`);
const [exitName, exitCode] = (process.env.FAKE_EXIT ?? '').split(':');
if (exitName === name) {
  process.stderr.write('the schema cannot be read\n');
  process.exit(Number(exitCode));
}

await runService({
  log,
  async start() {
    const [, host, port] = /^(.*):(\d+)$/.exec(values.listen ?? '') ?? [];
    const server = createServer((_, response) => response.end(JSON.stringify({ ...values, environment: process.env })));
    await new Promise<void>((resolve) => server.listen(Number(port), host, resolve));
    journal('start');
    log.info('a detail nobody asked for');
    log.info(`listening on http://${values.listen}`);
    return {
      async stop() {
        server.close();
        journal('stop');
      },
    };
  },
});
