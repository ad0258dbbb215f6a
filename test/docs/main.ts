/** `npm run docs:ranking`: writes what of the documentation of ranking is generated. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { makeDirectory } from '../../shared/config/make-directory.ts';
import { rankingPages } from './ranking-pages.ts';

const folder = 'docs/ranking';
makeDirectory(folder);
for (const [name, content] of rankingPages(loadSchema('deploy/config/default-schema.yaml'))) {
  writeFileSync(join(folder, name), content);
  console.log(`${join(folder, name)}: ${content.length} characters`);
}
