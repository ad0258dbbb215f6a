/** `tidal keys new`: draws a secret and makes its entry in the keys file. The secret is printed once and kept nowhere. */
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Document, isSeq, parseDocument } from 'yaml';
import { digestOf } from '../../services/router/keys/key-access.ts';
import { scopes } from '../../services/router/keys/keys.ts';
import { parseKeys } from '../../services/router/keys/parse-keys.ts';
import { parseDurationSeconds } from '../../shared/config/duration.ts';
import { readConfigFile } from '../../shared/config/yaml-file.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import type { Clock, Random } from '../../shared/kernel/kernel.ts';
import { systemClock, systemRandom } from '../../shared/kernel/system.ts';
import { argumentsOf, required, say } from '../backup/command.ts';
import type { Command } from './command.ts';

const SECRET_BYTES = 32;
/** By it, tools that search for leaked secrets recognise one. */
const PREFIX = 'tidal_';

export const newKey: Command = {
  summary: 'makes a key for the public surface: its secret, and its entry in the keys file',
  help: `tidal keys new --name NAME --scope SCOPE [--scope SCOPE ...] [--expires TIME] [--rate N] [--file FILE]

Prints the secret, once, and the entry for the keys file (TIDAL_API_KEYS_FILE of the router), which has its SHA-256 only.

  --name     who uses it: lower-case letters, digits, dots, hyphens, underscores
  --scope    ${scopes.join(', ')}; several may be given, also separated by commas. None includes another
  --expires  a duration such as 90d, or an RFC 3339 time; default: never
  --rate     requests a second at one router; default: no limit
  --file     the keys file to which the entry is added; it is created if it does not exist
`,
  run(args) {
    const text = { type: 'string' } as const;
    const given = argumentsOf(args, {
      name: text,
      scope: { type: 'string', multiple: true },
      expires: text,
      rate: text,
      file: text,
    });
    if (given === undefined) return;
    const optional = (name: string): string | undefined =>
      given[name] === undefined ? undefined : required(given, name);
    const asked = [given.scope ?? []].flat().flatMap((each) => String(each).split(','));
    if (asked.length === 0) throw new ConfigError(`--scope is required: ${scopes.join(', ')}`);
    const file = optional('file');
    const { secret, entry } = makeKey({
      name: required(given, 'name'),
      scopes: asked,
      expires: optional('expires'),
      rate: optional('rate'),
    });
    if (file === undefined) {
      const lines = withEntry(undefined, entry, 'the entry');
      say(`secret: ${secret}\nIt is shown only now. The entry for the keys file:\n\n${lines.trimEnd()}`);
      return;
    }
    addTo(resolve(file), entry);
    say(`secret: ${secret}\nIt is shown only now. ${file} has its entry.`);
  },
};

export interface KeyRequest {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expires?: string | undefined;
  readonly rate?: string | undefined;
}

/** As the file has it. */
export type KeyEntry = Readonly<Record<string, unknown>>;

export function makeKey(
  { name, scopes: asked, expires, rate }: KeyRequest,
  { clock = systemClock, random = systemRandom }: { readonly clock?: Clock; readonly random?: Random } = {},
): { readonly secret: string; readonly entry: KeyEntry } {
  const secret = PREFIX + Buffer.from(random.bytes(SECRET_BYTES)).toString('base64url');
  return {
    secret,
    entry: {
      name,
      scopes: [...new Set(asked)],
      sha256: digestOf(secret).toString('hex'),
      ...(expires === undefined ? {} : { expires: timeOf(expires, clock) }),
      ...(rate === undefined ? {} : { rate: numberOf(rate) }),
    },
  };
}

/** The text of a keys file with the entry added. Throws `ConfigError` naming `file` if either is not valid. */
export function withEntry(text: string | undefined, entry: KeyEntry, file: string): string {
  const document = text === undefined ? new Document({ keys: [] }) : parseDocument(text);
  if (text !== undefined) parseKeys(text, file);
  const node = document.createNode(entry) as { get(key: string): unknown };
  const list = node.get('scopes');
  if (isSeq(list)) list.flow = true;
  const keys = document.get('keys');
  if (isSeq(keys)) keys.flow = false;
  document.addIn(['keys'], node);
  const added = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  parseKeys(added, file);
  return added;
}

/** The file is replaced at once, so that a router never reads a part of it. */
export function addTo(file: string, ...entries: readonly KeyEntry[]): void {
  const exists = existsSync(file);
  const former = exists ? readConfigFile(file) : undefined;
  const text = entries.reduce<string | undefined>((added, entry) => withEntry(added, entry, file), former) ?? '';
  const partial = `${file}.${process.pid}.partial`;
  try {
    writeFileSync(partial, text, { mode: exists ? statSync(file).mode & 0o777 : 0o600, flag: 'wx' });
    renameSync(partial, file);
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

function timeOf(text: string, clock: Clock): string {
  const seconds = parseDurationSeconds(text);
  return seconds === undefined ? text : new Date(clock.nowMs() + seconds * 1_000).toISOString();
}

function numberOf(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new ConfigError(`--rate must be a number, not "${text}"`);
  return value;
}
