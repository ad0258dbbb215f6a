/** Every command of docs/runbook.md, verbatim, against a real cluster; every shown answer compared with the real one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { codeBlocks } from '../harness/docs/markdown-blocks.ts';
import { BlockRunner, missingProgram } from '../harness/docs/run-blocks.ts';
import { eventually } from '../harness/kernel/eventually.ts';
import { Cluster } from '../harness/processes/cluster.ts';

const file = new URL('../../../docs/runbook.md', import.meta.url);

/** Answers must have the shown fields with the shown values; of positions only the form is compared. */
function assertShown(actual: unknown, shown: unknown, path = 'answer'): void {
  if (typeof shown === 'string' && /^[a-z0-9-]+@[a-z2-7]+:\d+$/.test(shown)) {
    assert.match(String(actual), /^[a-z0-9-]+@[a-z2-7]{10,}:\d+$/, path);
  } else if (typeof shown === 'object' && shown !== null) {
    assert.equal(typeof actual, 'object', path);
    const fields = actual as Record<string, unknown>;
    assert.deepEqual(Object.keys(fields), Object.keys(shown), `${path}: fields and their order`);
    for (const [name, value] of Object.entries(shown)) assertShown(fields[name], value, `${path}.${name}`);
  } else {
    assert.equal(actual, shown, path);
  }
}

describe('docs/runbook.md', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let runner: BlockRunner;

  before(async function () {
    const program = await missingProgram();
    if (program !== undefined) {
      if (process.env.CI !== undefined) throw new Error(`${program} is needed to run the runbook`);
      console.log(`      SKIPPED: ${program} is not installed, so the runbook's blocks cannot run`);
      this.skip();
    }
    cluster = await Cluster.start();
    runner = new BlockRunner(cluster.url);
  });

  after(async () => {
    runner?.remove();
    await cluster?.stop();
  });

  const blocks = codeBlocks(readFileSync(file, 'utf8'));
  for (const [index, block] of blocks.entries()) {
    if (block.language !== 'bash') continue;
    const next = blocks[index + 1];
    const shown = next?.language === 'json' ? (JSON.parse(next.text) as unknown) : undefined;
    it(`line ${block.line}: ${block.text.split('\n')[0]}`, async () => {
      const readsStatus = block.text.includes('/cluster/status');
      // A status is a snapshot: followers may not have received the last writes yet.
      if (readsStatus && shown !== undefined) {
        await eventually('the status is the one shown', async () => {
          assertShown(JSON.parse(await runner.run(block.text)), shown);
          return true;
        });
        return;
      }
      const output = await runner.run(block.text);
      const answer = JSON.parse(output) as unknown;
      assert.equal(typeof answer, 'object');
      if (shown !== undefined) assertShown(answer, shown);
    });
  }

  it('after the heal the lag returns to 0 without any further write', async () => {
    await eventually('no lag', async () => {
      const { regions } = await cluster.status();
      return regions.every(({ lag_events, partitioned }) => lag_events === 0 && !partitioned);
    });
  });

  it('the runbook has at least the commands of the original', () => {
    const text = blocks.map((block) => block.text).join('\n');
    for (const part of [
      '/health',
      '/items',
      '/embeddings',
      '/signals',
      '/feed?user_id=42&profile=trending&limit=10',
      '/search?query=jazz%20piano&limit=5',
      'region=eu-west',
      '/cluster/status',
      '/cluster/promote',
      '/cluster/partition',
      '/cluster/heal',
    ]) {
      assert.ok(text.includes(part), `${part} is missing`);
    }
  });
});
