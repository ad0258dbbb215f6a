/**
 * The control bucket as the server keeps it: a stream of messages that compares sequences and knows nothing of revisions,
 * records or rules. Above it runs the production code of a key (`jetstream-control.ts`), so that none of its rules is copied.
 */
import type { InternalKeys } from '../../../shared/credentials/internal-keys.ts';
import { Fault } from '../../../shared/errors/errors.ts';
import { type ControlLink, JetStreamControl } from '../../../shared/stream/jetstream-control.ts';
import { errorCodes } from '../../../shared/stream/jetstream-errors.ts';
import { CONTROL_BUCKET, MAC_HEADER } from '../../../shared/stream/settings.ts';
import type { ControlKeys } from '../../../shared/stream/stream.ts';
import type { MemoryClient } from './memory-client.ts';
import type { MemoryBroker } from './memory-stream.ts';

type Answer = Awaited<ReturnType<ControlLink['api']>>;

const prefix = `$KV.${CONTROL_BUCKET}.`;

export function keysOfServer(broker: MemoryBroker, client: MemoryClient, internalKeys?: InternalKeys): ControlKeys {
  const link: ControlLink = {
    get connections() {
      return client.connections;
    },
    api: (what, body) => broker.request(client, () => answer(broker, what.split('.').slice(0, -1).join('.'), body)),
    async publish(subject, payload, expectedLast, mac) {
      const name = subject.slice(prefix.length);
      const acknowledgement = await broker.request(client, () => store(broker, name, { payload, expectedLast, mac }));
      if (!client.loseControlAnswer) return acknowledgement;
      client.loseControlAnswer = false;
      throw new Fault('stream_unavailable', 'no answer in time');
    },
  };
  return (name) => new JetStreamControl(link, name, { internalKeys });
}

function failure(err_code: number): Answer {
  return { error: { err_code, description: `error ${err_code}` } };
}

function answer(broker: MemoryBroker, what: string, body: unknown): Answer {
  if (what === 'STREAM.CREATE') broker.makeBucket();
  const { bucket } = broker;
  if (bucket === undefined) return failure(errorCodes.streamNotFound);
  if (what !== 'STREAM.MSG.GET') return { created: bucket.created };
  const { last_by_subj } = body as { last_by_subj: string };
  const entry = bucket.entries.get(last_by_subj.slice(prefix.length));
  if (entry === undefined) return failure(errorCodes.messageNotFound);
  const headers = entry.mac === undefined ? '' : `NATS/1.0\r\n${MAC_HEADER}: ${entry.mac}\r\n\r\n`;
  const hdrs = Buffer.from(headers).toString('base64');
  return { message: { seq: entry.sequence, data: Buffer.from(entry.json).toString('base64'), hdrs } };
}

interface Written {
  readonly payload: Uint8Array;
  readonly expectedLast: number;
  readonly mac: string | undefined;
}

function store(broker: MemoryBroker, name: string, { payload, expectedLast, mac }: Written): Answer {
  const { bucket } = broker;
  // The subject of a missing stream has no listener.
  if (bucket === undefined) throw new Fault('stream_unavailable', 'no responders');
  if ((bucket.entries.get(name)?.sequence ?? 0) !== expectedLast) return failure(errorCodes.wrongLastSequence);
  const text = Buffer.from(payload).toString();
  const { sequence } = broker.writeKey(name, text, mac);
  broker.onKey?.(name, JSON.parse(text));
  return { seq: sequence };
}
