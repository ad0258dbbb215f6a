/** Before regions and router start: the settings of the stream and of the control bucket, which none of them may change. */
import { parseRegionConfig } from '../../services/region/region-config.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import type { BrokerAccess } from '../../shared/stream/broker-access.ts';
import { connectJetStream } from '../../shared/stream/jetstream.ts';
import type { LinkLog } from '../../shared/stream/jetstream-link.ts';
import type { Environment } from './child-environment.ts';

/** A machine that is starting everything at once may need it. */
const LIMIT_MS = 60_000;
const PAUSE_MS = 50;

export interface PrepareOptions {
  readonly url: string;
  /** Of a user that may do everything. */
  readonly access: BrokerAccess;
  /** Of the regions: it says how large the stream is. */
  readonly environment: Environment;
  readonly clock: Clock;
  /** Where failures to connect are reported. */
  readonly log?: LinkLog;
  /** Aborted when the launcher stops. */
  readonly ending: AbortSignal;
}

/** Throws a `Fault` of the stream if the server does not do it in time. */
export async function prepareStream({ url, access, environment, clock, log, ending }: PrepareOptions): Promise<void> {
  const region = parseRegionConfig({ args: ['--region', 'any'], env: environment });
  const settings =
    'config' in region
      ? { maxBytes: region.config.streamMaxBytes, replicas: Number(region.config.streamReplicas) }
      : { maxBytes: -1 };
  const { stream, close } = connectJetStream({ url, name: 'settings', clock, access, settings, ...(log && { log }) });
  try {
    for (const startMs = clock.monotonicMs(); ; ) {
      try {
        await stream.ensure();
        await stream.checkSettings(true);
        return;
      } catch (error) {
        if (ending.aborted) return;
        if (!(error instanceof Fault) || clock.monotonicMs() - startMs > LIMIT_MS) throw error;
      }
      await sleep(clock, PAUSE_MS, ending);
    }
  } finally {
    await close();
  }
}
