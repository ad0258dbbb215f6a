/**
 * docs/ranking.md is true: its worked examples give the scores it says, its plots and film feeds are what
 * `npm run docs:ranking` writes.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createCursors } from '../../../../services/region/pages/signed-cursors.ts';
import { parseFeedQuery } from '../../../../services/region/query/query.ts';
import { profiles } from '../../../../services/region/rank/rank.ts';
import { loadSchema, parseSchema } from '../../../../services/region/schema/parse-schema.ts';
import type { Schema } from '../../../../services/region/schema/schema.ts';
import { rankingPages } from '../../../docs/ranking-pages.ts';
import { Stage } from '../../../docs/stage.ts';
import { type CodeBlock, codeBlocks } from '../../../harness/docs/markdown-blocks.ts';

const schemaFile = 'deploy/config/default-schema.yaml';
const page = readFileSync('docs/ranking.md', 'utf8');
const blocks = codeBlocks(page);
const examples = blocks.filter(({ language }) => language === 'example');

/** The default schema, and the profiles of the page beside its own. */
function documentedSchema(): Schema {
  const text = readFileSync(schemaFile, 'utf8');
  const own = blocks.filter(({ language }) => language === 'yaml').map((block) => block.text);
  assert.equal(own.length, 1);
  const profiles = own[0]!.replace('profiles:\n', '');
  return parseSchema(`${text}\n${profiles}`, 'docs/ranking.md');
}

interface Example {
  readonly stage: Stage;
  readonly search: URLSearchParams;
  /** What the page says of each item, in its order: expressions that are all its score, or `not ranked`. */
  readonly claims: readonly (readonly [entity: number, claim: string])[];
}

function readExample({ text, line }: CodeBlock, schema: Schema): Example {
  const [request, ...rest] = text.split('\n');
  const stage = new Stage(schema);
  const claims: [number, string][] = [];
  let entity = 0;
  for (const row of rest) {
    if (row.startsWith('  ')) {
      claims.push([entity, row.trim()]);
      continue;
    }
    const [, id, metadata, hours, signals] =
      /^item (\d+)(?: \(([^)]+)\))?(?:, created (\d+) h ago)?(?:: (.+))?$/.exec(row) ?? [];
    assert.ok(id !== undefined, `line ${line}: not an item: ${row}`);
    entity = Number(id);
    const fields = (metadata?.split(', ') ?? []).map((field) => field.split('=') as [string, string]);
    const values = fields.map(([name, value]) => [name, /^\d+$/.test(value) ? Number(value) : value]);
    stage.put(entity, Object.fromEntries(values), Number(hours ?? 0));
    for (const signal of signals?.split(', ') ?? []) {
      const [, count, name, ago] = /^([\d,]+) (\w+)(?: (\d+) h ago)?$/.exec(signal) ?? [];
      assert.ok(count !== undefined && name !== undefined, `line ${line}: not a signal: ${signal}`);
      stage.signal(entity, name, Number(count.replaceAll(',', '')), Number(ago ?? 0));
    }
  }
  const [, query] = /^GET \/feed\?(.*)$/.exec(request!) ?? [];
  assert.ok(query !== undefined, `line ${line}: not a request: ${request}`);
  return { stage, search: new URLSearchParams(query), claims };
}

/** An arithmetic expression in the page's spelling: `2 · log10(1 + 99) / √(2 + 2) − 2^(−1)`, thousands with commas. */
function evaluate(expression: string): number {
  const spelled = expression
    .replace(/(?<=\d),(?=\d{3})/g, '')
    .replaceAll('·', '*')
    .replaceAll('−', '-')
    .replaceAll('^', '**');
  assert.match(spelled, /^(log10\(|√\(|[\d.\s+*/()-])+$/, `not arithmetic: ${expression}`);
  const code = spelled.replaceAll('log10(', 'Math.log10(').replaceAll('√(', 'Math.sqrt(');
  return new Function(`return ${code}`)() as number;
}

/** Decimals are rounded to four digits, and decayed scores good to a millionth. */
function requireClose(actual: number, expected: number, decimals: boolean, what: string): void {
  const allowed = Math.abs(expected) * (decimals ? 5e-4 : 2e-6) + 1e-12;
  assert.ok(Math.abs(actual - expected) <= allowed, `${what}: the score is ${actual}`);
}

describe('the documentation of ranking', () => {
  const schema = documentedSchema();
  const names = [...profiles, ...schema.profiles.keys()];
  const cursors = createCursors({ secrets: () => [''], schemaHash: 'x' });

  for (const block of examples) {
    it(`line ${block.line}: ${block.text.split('\n')[0]}`, () => {
      const { stage, search, claims } = readExample(block, schema);
      const { query } = parseFeedQuery(search, { profiles: names, cursors });
      assert.ok(claims.length > 0);
      for (const [entity, claim] of claims) {
        const score = stage.score(entity, query.profile, query);
        if (claim === 'not ranked') {
          assert.equal(score, undefined, `item ${entity}`);
          continue;
        }
        assert.ok(score !== undefined, `item ${entity} is not ranked`);
        assert.ok(claim.startsWith('= '), claim);
        for (const expression of claim.slice(2).split(' = ')) {
          requireClose(score, evaluate(expression), expression.includes('.'), `item ${entity} = ${expression}`);
        }
      }
    });
  }

  it('what is explained on the page is what explain=true answers', () => {
    const explained = examples.filter(({ text }) => text.includes('explain=true'));
    assert.equal(explained.length, 2);
    for (const block of explained) {
      const shown = blocks[blocks.indexOf(block) + 1];
      assert.equal(shown?.language, 'json', `after line ${block.line}`);
      const { stage, search } = readExample(block, schema);
      const { query } = parseFeedQuery(search, { profiles: names, cursors });
      const [item] = stage.feed(query.profile, query);
      const rounded = item!.explain!.map((part) =>
        Object.fromEntries(
          Object.entries(part).map(([key, value]) => [
            key,
            typeof value === 'number' ? Number(value.toPrecision(4)) : value,
          ]),
        ),
      );
      assert.deepEqual(rounded, JSON.parse(shown.text));
    }
  });

  it('every built-in profile has its formula and an example; that of related is in docs/search.md', () => {
    const headings = [...page.matchAll(/^### (.+)$/gm)].flatMap(([, heading]) => heading!.split(', '));
    assert.deepEqual([...headings].sort(), [...profiles].sort());
    for (const profile of profiles) {
      if (profile === 'related') continue;
      assert.ok(
        examples.some(({ text }) => new RegExp(`profile=${profile}\\b`).test(text)),
        profile,
      );
    }
  });

  it('plots and film feeds are what npm run docs:ranking writes, and all are shown', () => {
    const pages = rankingPages(loadSchema(schemaFile));
    assert.deepEqual(readdirSync('docs/ranking').sort(), [...pages.keys()].sort());
    for (const [name, content] of pages) {
      const stale = `docs/ranking/${name} is not what npm run docs:ranking writes`;
      assert.ok(readFileSync(`docs/ranking/${name}`, 'utf8') === content, stale);
      assert.ok(page.includes(`(ranking/${name})`), name);
    }
  });
});
