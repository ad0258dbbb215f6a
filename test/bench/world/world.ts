/**
 * The realistic world that reads, restarts and memory are measured on: what it is made of, in one place. Its items came over 90 days, its
 * signals over the last 48 hours, as a service has them; everything is drawn from one seed, and written by the product's own
 * log, ledger, checkpoint and vector index with the acceptance times that it would have had.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface WorldSize {
  readonly items: number;
  readonly embeddings: number;
  readonly signals: number;
}

export const SEED = 7;
export const DIMENSIONS = 128;
/** Of the distribution of signals over items: most items have some. */
export const EXPONENT = 0.8;
export const HOUR_MS = 3_600_000;
export const ITEMS_SPAN_MS = 90 * 24 * HOUR_MS;
export const SIGNALS_SPAN_MS = 48 * HOUR_MS;

/** Ten signals an item and an embedding for every fifth, if nothing else is said. */
export function worldSize({
  items = 1_000_000,
  embeddings = Math.floor(items / 5),
  signals = items * 10,
}: { readonly [Part in keyof WorldSize]?: WorldSize[Part] | undefined } = {}): WorldSize {
  if (embeddings > items / 2)
    throw new Error(`${embeddings} embeddings: at most every other of ${items} items has one`);
  return { items, embeddings, signals };
}

/** Items that are there before the first signal. */
export function oldItems({ items }: Pick<WorldSize, 'items'>): number {
  return Math.floor(items * (1 - SIGNALS_SPAN_MS / ITEMS_SPAN_MS));
}

/** The item that has the embedding of this index, from 0 on: one of the old ones. */
export function embeddedItem(index: number, size: WorldSize): number {
  return 1 + index * Math.max(1, Math.floor(oldItems(size) / size.embeddings));
}

/**
 * The formula of this profile is highest for items with the fewest views: only items without views would bound it, and the gate
 * removes those. Its feed has to score everything.
 */
export const BOUNDLESS = 'least_seen';
const boundless = `
  ${BOUNDLESS}:
    terms:
      - { signal: view, window: all, log: true, weight: -1 }
      - { signal: like, window: 24h, weight: -1 }
    gates:
      - { signal: view, window: all, min: 3 }
`;

/** The default schema with embeddings of {@link DIMENSIONS} and the profile {@link BOUNDLESS}; returns its file. */
export function writeWorldSchema(directory: string): string {
  const given = fileURLToPath(new URL('../../../../deploy/config/default-schema.yaml', import.meta.url));
  const schema = readFileSync(given, 'utf8').replace(/^( +dimensions:) \d+$/m, `$1 ${DIMENSIONS}`);
  // The profiles are its last part.
  if (!schema.includes(`dimensions: ${DIMENSIONS}`) || !/^profiles:\n(?![\s\S]*^\S)/m.test(schema))
    throw new Error(`${given} has another shape than the world's schema is made from`);
  const file = join(directory, 'schema.yaml');
  writeFileSync(file, `${schema.trimEnd()}\n${boundless}`);
  return file;
}

export function describeWorld({ items, embeddings, signals }: WorldSize): string {
  const [many, vectors, events] = [items, embeddings, signals].map((count) => count.toLocaleString('en'));
  return (
    `${many} items that came over 90 days (a title of 5 words and a description of 12 from a Zipf vocabulary of 30,000, a category ` +
    `of 12, an author, a year, two tags of 2,000), ${vectors} embeddings of ${DIMENSIONS} dimensions, ${events} signals of six kinds, ` +
    `Zipf over the items (exponent ${EXPONENT}), over the last 48 hours. Seed ${SEED}`
  );
}
