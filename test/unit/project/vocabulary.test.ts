/**
 * One word for one thing: the words that docs/glossary.md does not use are in no log message, error, metric help, file name
 * or export, and neither they nor vague words for agents and states are in comments, titles of tests or texts for operators.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { problems } from '../../../shared/errors/errors.ts';
import { mutants } from '../../simulation/mutants.ts';
import { themeNames } from '../../simulation/themes.ts';

/** Where a refused word is right. Each must be used, else the test fails. */
const exceptions: readonly (readonly [where: string, text: string])[] = [
  // Fields of a table.
  ['test/bench/bench.ts', 'Cells in the order of'],
  ['test/bench/contents.ts', 'The cell in the first row'],
  ['test/bench/contents.ts', 'The cell of the row'],
  ['test/unit/project/bench-pages.test.ts', 'a bar in a cell'],
  ['test/unit/project/bench-pages.test.ts', 'a row with a cell too few'],
  // The name of the file.
  ['test/unit/project/rooms.test.ts', 'rooms'],
];

/** Words of the glossary's last column that have another meaning in comments: of a vector, of a number, of a promise. */
const otherMeanings = ['neighbour', 'floor', 'settle'];

/** What a comment or a title says better in the field's words: a part is *it*, and a state has a name. */
const vague = [
  'whoever',
  'somebody',
  'nobody',
  'anybody',
  'everybody',
  'st(?:ands?|ood|anding) still',
  '(?:is|are|was|were) gone',
  '(?:made|built|written) anew',
  'put back',
  'lets? go',
  '(?:go|goes|went|going) on',
  '(?:come|comes|came) back',
  'all the same',
  'signs? of life',
  'rooms?',
  'chance',
];

interface Found {
  readonly where: string;
  readonly text: string;
}

/** The last column of the glossary's tables. */
function refusedWords(): string[] {
  return readFileSync('docs/glossary.md', 'utf8')
    .split('\n')
    .filter((line) => /^\| (?!term|---)/.test(line))
    .flatMap((line) => line.split('|').at(-2)!.split(','))
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

const product = ['services', 'shared', 'deploy'];

function sources(folders = product): (readonly [file: string, text: string])[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => [join(folder, file), readFileSync(join(folder, file), 'utf8')] as const),
  );
}

/** The literals between the parenthesis at `open` and its partner; what templates insert is left out. */
function literalsOf(source: string, open: number): string {
  let depth = 0;
  let text = '';
  for (let at = open; at < source.length; at++) {
    const character = source[at]!;
    if (character === '(') depth++;
    else if (character === ')' && --depth === 0) break;
    else if (character === "'" || character === '"' || character === '`') {
      const start = at + 1;
      for (at++; source[at] !== character; at++) if (source[at] === '\\') at++;
      text += ` ${source.slice(start, at).replace(/\$\{[^}]*\}/g, ' ')}`;
    }
  }
  return text;
}

function calls(pattern: RegExp): Found[] {
  return sources().flatMap(([where, source]) =>
    [...source.matchAll(pattern)].map((match) => ({
      where,
      text: literalsOf(source, match.index + match[0].length - 1),
    })),
  );
}

function exportsOf(): Found[] {
  const pattern = /^export (?:async )?(?:abstract )?(?:class|function\*?|const|interface|type) (\w+)/gm;
  return sources().flatMap(([where, source]) =>
    [...source.matchAll(pattern)].map((match) => ({ where, text: wordsOf(match[1]!) })),
  );
}

/** Comments, without code and links in them, each line break a space. */
function comments(): Found[] {
  return sources([...product, 'test']).flatMap(([where, source]) =>
    [...source.matchAll(/\/\*[\s\S]*?\*\/|(?:^|[\s;{(,])\/\/ .*(?:\n\s*\/\/ .*)*/gm)].map(([text]) => ({
      where,
      text: text
        .replace(/\n\s*(?:\*|\/\/)/g, ' ')
        .replace(/`[^`]*`|\{@link [^}]*\}/g, '')
        .replace(/\s+/g, ' '),
    })),
  );
}

function titles(): Found[] {
  return sources(['test']).flatMap(([where, source]) =>
    [...source.matchAll(/\b(?:it|describe)(?:\.\w+)?\(\s*(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g)].map(([, , text]) => ({
      where,
      text: text!.replace(/\$\{[^}]*\}/g, ' '),
    })),
  );
}

/** What `--help` prints: of the settings their meanings, of the commands the whole text. */
function helpTexts(): Found[] {
  return sources([...product, 'test']).flatMap(([where, source]) =>
    [...source.matchAll(/^ *why: '([^']*)'|\bwhy:\s+'([^']*)',\n|^const (?:help|HELP|usage) = `([^`]*)`/gm)].map(
      (match) => ({
        where,
        text: match.slice(1).find((part) => part !== undefined)!,
      }),
    ),
  );
}

/** Hints that are not within the call that makes the error are found by their name. */
function errors(): Found[] {
  const hints = sources().flatMap(([where, source]) =>
    [...source.matchAll(/\bhint(?::| =)\s*(?:[\w.= ]+\?\s*)?(['"`])((?:(?!\1)[^\\]|\\.)*)\1/g)].map(([, , text]) => ({
      where,
      text: text!.replace(/\$\{[^}]*\}/g, ' '),
    })),
  );
  return [...calls(/\b(?:new (?:Refusal|Fault|ConfigError)|refusal|unreachable)\(/g), ...hints];
}

/** What an operator reads of an alert. */
function alerts(): Found[] {
  const where = 'deploy/prometheus/alerts.yml';
  const { groups } = parse(readFileSync(where, 'utf8')) as {
    groups: { rules: { alert: string; annotations: Record<string, string> }[] }[];
  };
  return groups.flatMap(({ rules }) =>
    rules.flatMap(({ alert, annotations }) =>
      [wordsOf(alert), ...Object.values(annotations)].map((text) => ({
        where,
        text: text.replace(/\{\{.*?\}\}/g, ' '),
      })),
    ),
  );
}

/** Comments of what an operator edits or runs, and the titles of the dashboard. */
function configuration(): Found[] {
  const files = [
    'compose.yaml',
    'deploy/Dockerfile',
    'deploy/entrypoint.sh',
    'deploy/health-check',
    'deploy/nats/nats.conf',
  ];
  const more = ['deploy/config', 'deploy/prometheus'].flatMap((folder) =>
    readdirSync(folder).map((file) => join(folder, file)),
  );
  const commented = [...files, ...more].flatMap((where) =>
    [...readFileSync(where, 'utf8').matchAll(/^ *# .*(?:\n *#.*)*/gm)].map(([text]) => ({
      where,
      text: text.replace(/\n *#/g, ' '),
    })),
  );
  const dashboard = 'deploy/grafana/dashboards/tidal.json';
  const shown = [...readFileSync(dashboard, 'utf8').matchAll(/"(?:title|description)": "([^"]*)"/g)];
  return [...commented, ...shown.map(([, text]) => ({ where: dashboard, text: text! }))];
}

/** The names by which the simulation reports: of its checkers, mutants and themes. */
function namesInTheSimulation(): Found[] {
  const violations = sources(['test/simulation']).flatMap(([where, source]) =>
    [...source.matchAll(/\bnew Violation\(/g)].map((match) => ({
      where,
      text: literalsOf(source, match.index + match[0].length - 1),
    })),
  );
  const names = [...mutants.map(({ name }) => name), ...themeNames].map((text) => ({ where: 'test/simulation', text }));
  return [...violations, ...names];
}

function wordsOf(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_.-]/g, ' ')
    .toLowerCase();
}

function refusal(words: readonly string[]): RegExp {
  return new RegExp(`\\b(?:${words.join('|')})(?:s|es|ed|d|ing)?\\b`, 'i');
}

const texts: Readonly<Record<string, () => Found[]>> = {
  'log messages': () => calls(/\blog\.(?:debug|info|warn|error)\(/g),
  'titles of problems': () =>
    Object.entries(problems).map(([where, [, text]]) => ({ where, text: `${wordsOf(where)} ${text}` })),
  'metrics and their help': () => calls(/\b(?:metrics\.\w+|gauge)\(/g),
  'names of files': () => sources().map(([where]) => ({ where, text: wordsOf(basename(where, '.ts')) })),
  'exported identifiers': exportsOf,
};

const prose: Readonly<Record<string, () => Found[]>> = {
  comments,
  'titles of tests': titles,
  'names in the simulation': namesInTheSimulation,
  'errors, with their hints': errors,
  '`--help`': helpTexts,
  alerts,
  'configuration and dashboard': configuration,
};

describe('vocabulary', () => {
  const words = refusedWords();
  const refused = refusal(words);
  const refusedInProse = refusal([...words.filter((word) => !otherMeanings.includes(word)), ...vague]);
  const used = new Set<string>();

  it('the glossary names words that are not used', () => {
    assert.ok(words.length > 10, words.join(', '));
  });

  for (const [what, find] of Object.entries({ ...texts, ...prose })) {
    it(`${what} use the glossary’s words`, () => {
      const found = find();
      assert.ok(found.length > 30, `${found.length} were found`);
      const wrong = found.filter(({ where, text }) => {
        if (!(what in prose ? refusedInProse : refused).test(text)) return false;
        const exception = exceptions.find(([file, part]) => file === where && text.includes(part));
        if (exception !== undefined) used.add(exception.join(' '));
        return exception === undefined;
      });
      assert.deepEqual(
        wrong.map(({ where, text }) => `${where}: ${text.trim()}`),
        [],
      );
    });
  }

  it('every exception is used', () => {
    assert.deepEqual(
      exceptions.map((each) => each.join(' ')).filter((each) => !used.has(each)),
      [],
    );
  });
});
