/** `npm run docs:ranking`: writes what of the documentation of ranking is generated. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSchema } from '../../shared/schema/parse-schema.ts';
import { rankingPages } from './ranking-pages.ts';

const folder = 'docs/ranking';
mkdirSync(folder, { recursive: true });
for (const [name, content] of rankingPages(loadSchema('deploy/config/default-schema.yaml'))) {
  writeFileSync(join(folder, name), content);
  console.log(`${join(folder, name)}: ${content.length} characters`);
}
