/** Which benchmarks there are: the files `<name>.bench.ts` in the source folder, each imported from the build. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.ts';

const SUFFIX = '.bench.ts';

export const projectRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(from: string): string {
  for (let at = from; ; at = dirname(at)) if (existsSync(join(at, 'biome.json'))) return at;
}

/** Alphabetically. The source folder decides: the build may still hold what was removed. */
export function benchNames(): readonly string[] {
  return readdirSync(join(projectRoot, 'test/bench'))
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

/** Throws where the file exports no benchmark under its own name. */
export async function loadBench(name: string): Promise<Bench> {
  const { bench } = (await import(new URL(`./${name}.bench.js`, import.meta.url).href)) as { readonly bench?: Bench };
  if (bench?.name !== name) throw new Error(`test/bench/${name}${SUFFIX} must export a bench named ${name}`);
  return bench;
}
