/** Queries nats-server's monitoring port. Nothing is cached, so a replaced broker needs no handling. */
import { request } from 'undici';
import { Fault, messageOf } from '../../../shared/errors/errors.ts';
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { AskBroker, JetStreamFacts, ServerFacts } from './broker.ts';

/** Below Prometheus' own time-out of a scrape. */
const ANSWER_LIMIT_MS = 2_000;

/** `url`: base URL of the monitoring port, `http://nats:8222`. */
export function createAskBroker({ url, clock }: { readonly url: string; readonly clock: Clock }): AskBroker {
  const ask = async <T>(path: string): Promise<T> => {
    const ended = new AbortController();
    const timer = clock.after(ANSWER_LIMIT_MS, () => ended.abort());
    try {
      const { statusCode, body } = await request(new URL(path, url), { signal: ended.signal });
      const text = await body.text();
      if (statusCode !== 200) throw new Fault('no_answer', `the broker answered ${statusCode} to ${path}`);
      return JSON.parse(text) as T;
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('no_answer', `the broker did not answer ${path}: ${messageOf(error)}`, { cause: error });
    } finally {
      timer.cancel();
    }
  };
  return async () => {
    const [server, jetStream] = await Promise.all([
      ask<ServerFacts>('/varz'),
      ask<JetStreamFacts>('/jsz?streams=true'),
    ]);
    return { server, jetStream };
  };
}
