/** The examples of docs/api.md, “Filters”. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFilters } from '../../../../services/region/filter/filter.ts';
import { readFilter } from '../../../../services/region/filter/grammar/grammar.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';

const root = fileURLToPath(new URL('../../../../../', import.meta.url));
const section = /### Filters\n[\s\S]*?\n### /.exec(readFileSync(join(root, 'docs/api.md'), 'utf8'))![0];
const item = JSON.parse(/The item `(\{[\s\S]*?\})`/.exec(section)![1]!) as Metadata;
const examples = [...section.matchAll(/^\| `(.+)` \| (found|not found|refused) \|$/gm)];

describe('documented filters', () => {
  it('are examples of each kind', () => {
    assert.ok(examples.length >= 25, `${examples.length}`);
  });

  for (const [, written, outcome] of examples) {
    it(`${written}: ${outcome}`, () => {
      const filter = readFilter(written!.replaceAll('\\|', '|'));
      if ('problem' in filter) assert.equal(outcome, 'refused', filter.problem);
      else assert.equal(outcome, compileFilters([filter])(item) ? 'found' : 'not found');
    });
  }
});
