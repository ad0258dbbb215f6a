/** `tidal stream settings`: puts right the settings of the stream and of the control bucket, which the processes may not change. */
import { parseRegionConfig } from '../../services/region/region-config.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { systemClock } from '../../shared/kernel/system.ts';
import { brokerAccess } from '../../shared/stream/broker-access.ts';
import { checkIdentity } from '../../shared/stream/jetstream-access.ts';
import { argumentsOf, say } from '../backup/command.ts';
import { prepareStream } from '../local/prepare-stream.ts';
import type { Command } from './command.ts';

export const streamSettings: Command = {
  summary: 'puts right the settings of the stream and of the control bucket',
  help: `tidal stream settings

Creates the stream and the control bucket if they are absent, and gives them the settings of this version. Where each process has a
user of its own at NATS, none of them may do that; /health names a setting that differs. Nothing is deleted, but a smaller
TIDAL_STREAM_MAX_BYTES drops the oldest messages, which peers still serve.

From the environment: NATS_URL; NATS_USER and NATS_PASSWORD or NATS_PASSWORD_FILE, or what else a region takes, of a user that may
change streams; TIDAL_STREAM_MAX_BYTES.
`,
  async run(args) {
    if (argumentsOf(args, {}) === undefined) return;
    const region = parseRegionConfig({ args: ['--region', 'any'], env: process.env });
    if (!('config' in region)) throw new ConfigError('the environment of a region is needed');
    const { natsUrl: url } = region.config;
    const access = brokerAccess(region.config);
    checkIdentity(access, systemClock.nowMs());
    await prepareStream({
      ...{ url, access, environment: process.env },
      log: { info() {}, warn: (text) => void process.stderr.write(`${text}\n`) },
      ...{ clock: systemClock, ending: new AbortController().signal },
    });
    say(`${url}: the stream and the control bucket have the settings of this version`);
  },
};
