/**
 * Reads a YAML configuration file as *nodes*: values with their path and line, so that every problem is reported with both.
 * Problems are collected; `finish` throws one `ConfigError` that lists them all.
 */
import { readFileSync } from 'node:fs';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigError } from '../errors/config-error.ts';
import { clip } from '../errors/errors.ts';

/** Size limit: larger files are not schemas or topologies. */
export const FILE_LIMIT_CHARACTERS = 1024 * 1024;
/** Limit of reported mistakes: a file with hundreds is the wrong file. */
const PROBLEM_LIMIT = 50;

/** A value of the file. */
export interface YamlValue {
  /** `signals.view.half_life`, `regions[2].name`; empty for the whole file. */
  readonly path: string;
  readonly node: Node | null;
}

/** The text of a configuration file. Throws `ConfigError`. */
export function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError(`${path}: cannot be read (${code === 'ENOENT' ? 'no such file' : code})`);
  }
}

export class YamlFile {
  /** The whole file. */
  readonly root: YamlValue;
  private readonly file: string;
  private readonly problems: string[] = [];
  private readonly lines = new LineCounter();
  private readonly document: Document;
  private readonly broken: boolean;

  /** `file` only names the file in messages. */
  constructor(text: string, file: string) {
    this.file = file;
    const tooLong = text.length > FILE_LIMIT_CHARACTERS;
    this.document = parseDocument(tooLong ? '' : text, { lineCounter: this.lines, prettyErrors: false });
    if (tooLong) this.problems.push(`has ${text.length} characters; at most ${FILE_LIMIT_CHARACTERS} are accepted`);
    for (const { message, pos } of this.document.errors) {
      this.problems.push(`line ${this.lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`);
    }
    this.broken = this.problems.length > 0;
    this.root = { path: '', node: this.resolve(this.document.contents) };
  }

  /** Records a problem at a node and continues. */
  refuse(place: YamlValue, message: string): void {
    const line = place.node?.range === null || place.node?.range === undefined ? undefined : place.node.range[0];
    const where = place.path === '' ? 'the file' : place.path;
    this.problems.push(`${where}${line === undefined ? '' : ` (line ${this.lines.linePos(line).line})`}: ${message}`);
  }

  /**
   * The entries of a mapping; any other value is refused and has none. Keys outside `known` are refused by name, missing ones of
   * `required` are reported. Without `known` any text is a key.
   */
  mapping(place: YamlValue, known?: readonly string[], required: readonly string[] = []): Map<string, YamlValue> {
    const entries = new Map<string, YamlValue>();
    if (this.broken) return entries;
    const { node } = place;
    if (!isMap(node)) {
      const keys = known === undefined ? '' : ` with the keys ${known.join(', ')}`;
      this.refuse(place, `must be a mapping${keys}, not ${this.show(place)}`);
      return entries;
    }
    for (const pair of node.items) {
      const keyNode = this.resolve(pair.key as Node | null);
      const key = isScalar(keyNode) ? String(keyNode.value) : undefined;
      if (key === undefined) {
        this.refuse(place, 'has a key that is not a text');
        continue;
      }
      const path = place.path === '' ? key : `${place.path}.${key}`;
      if (known !== undefined && !known.includes(key)) {
        this.refuse({ path, node: keyNode }, `is not a known key; accepted keys: ${known.join(', ')}`);
        continue;
      }
      const value = this.resolve(pair.value as Node | null);
      // A key without a value has no node with a line.
      entries.set(key, { path, node: value ?? keyNodeAsNull(keyNode) });
    }
    for (const key of required) {
      if (!entries.has(key)) this.refuse(place, `lacks the key ${key}`);
    }
    return entries;
  }

  /** The elements of a list of `min` … `max`; undefined (and refused) otherwise. */
  list(place: YamlValue, min: number, max: number): readonly YamlValue[] | undefined {
    const { node } = place;
    if (!isSeq(node) || node.items.length < min || node.items.length > max) {
      const found = isSeq(node) ? `${node.items.length} of them` : this.show(place);
      this.refuse(place, `must be a list of ${min} to ${max} elements, not ${found}`);
      return undefined;
    }
    return node.items.map((item, index) => ({
      path: `${place.path}[${index}]`,
      node: this.resolve(item as Node | null),
    }));
  }

  /** A text matching `pattern`; `expected` completes "must be …". */
  text(place: YamlValue, pattern: RegExp, expected: string): string | undefined {
    const value = isScalar(place.node) ? place.node.value : undefined;
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.refuse(place, `must be ${expected}, not ${this.show(place)}`);
    return undefined;
  }

  /** As `text`, for what must not be shown: it may be a secret. */
  hiddenText(place: YamlValue, pattern: RegExp, expected: string): string | undefined {
    const value = isScalar(place.node) ? place.node.value : undefined;
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.refuse(place, `must be ${expected}`);
    return undefined;
  }

  oneOf<const T extends string>(place: YamlValue, accepted: readonly T[]): T | undefined {
    const value = isScalar(place.node) ? place.node.value : undefined;
    const found = accepted.find((candidate) => candidate === value);
    if (found === undefined) this.refuse(place, `must be one of ${accepted.join(', ')}, not ${this.show(place)}`);
    return found;
  }

  isList({ node }: YamlValue): boolean {
    return isSeq(node);
  }

  isMapping({ node }: YamlValue): boolean {
    return isMap(node);
  }

  isText({ node }: YamlValue): boolean {
    return isScalar(node) && typeof node.value === 'string';
  }

  isBoolean({ node }: YamlValue): boolean {
    return isScalar(node) && typeof node.value === 'boolean';
  }

  boolean(place: YamlValue): boolean | undefined {
    const value = isScalar(place.node) ? place.node.value : undefined;
    if (typeof value === 'boolean') return value;
    this.refuse(place, `must be true or false, not ${this.show(place)}`);
    return undefined;
  }

  /** A number from `min` to `max`, both included. */
  number(place: YamlValue, min: number, max: number, kind: 'integer' | 'number' = 'number'): number | undefined {
    const value = isScalar(place.node) ? place.node.value : undefined;
    if (typeof value === 'number' && value >= min && value <= max && (kind === 'number' || Number.isInteger(value))) {
      return value;
    }
    const article = kind === 'integer' ? 'an integer' : 'a number';
    this.refuse(place, `must be ${article} from ${min} to ${max}, not ${this.show(place)}`);
    return undefined;
  }

  /** Throws `ConfigError` with every problem noted so far, if there is one. */
  finish(): void {
    if (this.problems.length === 0) return;
    const shown = this.problems.slice(0, PROBLEM_LIMIT);
    const rest = this.problems.length - shown.length;
    throw new ConfigError(
      [
        `${this.file} cannot be used:`,
        ...shown.map((problem) => `  ${problem}`),
        ...(rest > 0 ? [`  and ${rest} more`] : []),
      ].join('\n'),
    );
  }

  private show(place: YamlValue): string {
    const { node } = place;
    if (isMap(node)) return 'a mapping';
    if (isSeq(node)) return 'a list';
    const value = isScalar(node) ? node.value : null;
    if (value === null || value === undefined) return 'nothing';
    return clip(typeof value === 'string' ? JSON.stringify(value) : String(value), 60);
  }

  private resolve(node: Node | null): Node | null {
    return isAlias(node) ? (node.resolve(this.document) ?? null) : node;
  }
}

function keyNodeAsNull(key: Node | null): Node | null {
  if (!isScalar(key)) return null;
  const empty = key.clone() as typeof key;
  empty.value = null;
  return empty;
}
