/** A client sends a signal under a key, and sends it again, by another router, whatever became of it. */
import type { Write } from './promises.ts';
import type { World } from './world.ts';

export interface KeyedSignal {
  readonly by: string;
  readonly key: string;
}

export async function sendKeyedSignal(world: World, { by, key }: KeyedSignal): Promise<void> {
  const { promises } = world;
  const write = promises.writes.find((known) => known.key === key) ?? newWrite(world, key);
  const [tag] = write.tags;
  const weight = Number(tag!.split(' ')[1]) / 1_000;
  const call = {
    method: 'POST' as const,
    path: '/signals',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ entity_id: 1, signal: 'view', weight }),
    signal: new AbortController().signal,
  };
  try {
    const { statusCode, body } = await world.network.call('insistent client', by, call, 1_000);
    const text = Buffer.from(await body.arrayBuffer()).toString();
    world.note('insistent client', `${tag} under ${key} by ${by}: ${statusCode} ${text}`);
    if (statusCode !== 200) return;
    world.check(() => void promises.acknowledged(write, (JSON.parse(text) as { position: string }).position));
  } catch {
    // Whether it is, or was, sent again is unknown.
  }
}

function newWrite(world: World, key: string): Write {
  const tag = world.nextTag();
  const write: Write = {
    id: world.promises.writes.length,
    key,
    tags: [`signal ${tag}`],
    bodies: [{ kind: 'signal', entity: 1, signal: 'view', weight: tag, timeMs: undefined }],
    outcome: 'unknown',
    positions: [],
  };
  world.promises.add(write);
  return write;
}
