/** `npm run docs:openapi`: writes what is generated from the OpenAPI document. */
import { writeFileSync } from 'node:fs';
import { openApiFiles } from './openapi-files.ts';

for (const [file, text] of openApiFiles()) {
  writeFileSync(file, text);
  console.log(`${file}: ${text.length} characters`);
}
