/** A client puts an item that is as much work as one may be: many texts in a list, and words that no other item has. */
import type { Write } from './promises.ts';
import type { World } from './world.ts';

export interface HostileItem {
  readonly by: string;
  readonly entity: number;
  readonly texts: number;
  readonly words: number;
}

export async function putHostileItem(world: World, { by, entity, texts, words }: HostileItem): Promise<void> {
  const tag = world.nextTag();
  const title = Array.from({ length: words }, (_, word) => `w${tag}x${word}`).join(' ');
  const metadata = { title, tag, texts: Array.from({ length: texts }, (_, text) => `text ${text}`) };
  const write: Write = {
    id: world.promises.writes.length,
    key: undefined,
    tags: [`item ${tag}`],
    bodies: [{ kind: 'item', entity, metadata }],
    outcome: 'open',
    positions: [],
  };
  world.promises.add(write);
  const call = {
    method: 'POST' as const,
    path: '/items',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entity_id: entity, metadata }),
    signal: new AbortController().signal,
  };
  try {
    const { statusCode, body } = await world.network.call('hostile client', by, call, 1_000);
    const text = Buffer.from(await body.arrayBuffer()).toString();
    world.note('hostile client', `an item of ${texts} texts and ${words} words by ${by}: ${statusCode}`);
    if (statusCode === 504) write.outcome = 'unknown';
    else if (statusCode !== 200) write.outcome = 'refused';
    else
      world.check(() => void world.promises.acknowledged(write, (JSON.parse(text) as { position: string }).position));
  } catch {
    write.outcome = 'unknown';
  }
}
