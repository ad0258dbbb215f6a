/** Reads the keys file: YAML with the list `keys`. Mistakes are reported all at once, with their place; values are not shown. */
import { YamlFile, type YamlValue } from '../../../shared/config/yaml-file.ts';
import { timestampOf } from '../../../shared/protocol/timestamp.ts';
import { type AccessKey, type Scope, scopes } from './keys.ts';

/** Every request is compared with all of them. */
const KEYS_LIMIT = 256;
const RATE_LIMIT = 1_000_000;
/** One request in a thousand seconds. */
const RATE_MIN = 0.001;

export const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/;
export const nameRule = 'a name of at most 64 lower-case letters, digits, dots, hyphens and underscores';
const digestPattern = /^[0-9a-f]{64}$/i;
const fields = ['name', 'scopes', 'sha256', 'expires', 'rate'];

/** `file` only names the file in messages. Throws `ConfigError`. */
export function parseKeys(text: string, file: string): readonly AccessKey[] {
  const yaml = new YamlFile(text, file);
  const list = yaml.mapping(yaml.root, ['keys'], ['keys']).get('keys');
  const entries = list === undefined ? [] : (yaml.list(list, 1, KEYS_LIMIT) ?? []);
  const keys = entries.map((entry) => keyOf(yaml, entry));
  refuseDuplicates(yaml, entries, keys);
  yaml.finish();
  return keys as readonly AccessKey[];
}

/** Undefined parts were refused. */
function keyOf(yaml: YamlFile, entry: YamlValue): Partial<AccessKey> {
  const given = yaml.mapping(entry, fields, ['name', 'scopes', 'sha256']);
  const read = <T>(field: string, value: (place: YamlValue) => T | undefined): T | undefined => {
    const place = given.get(field);
    return place === undefined ? undefined : value(place);
  };
  const name = read('name', (place) => yaml.text(place, namePattern, nameRule));
  const scopes = read('scopes', (place) => scopesOf(yaml, place));
  const digest = read('sha256', (place) => {
    const rule = 'the SHA-256 of the secret, 64 hexadecimal digits (tidal keys new prints it)';
    // Never shown: it may be the secret itself.
    return yaml.hiddenText(place, digestPattern, rule);
  });
  const expiresMs = read('expires', (place) => expiryOf(yaml, place));
  const rate = read('rate', (place) => yaml.number(place, RATE_MIN, RATE_LIMIT));
  return {
    ...(name === undefined ? {} : { name }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(digest === undefined ? {} : { digest: Buffer.from(digest, 'hex') }),
    ...(expiresMs === undefined ? {} : { expiresMs }),
    ...(rate === undefined ? {} : { rate }),
  };
}

function scopesOf(yaml: YamlFile, place: YamlValue): readonly Scope[] {
  const list = yaml.list(place, 1, scopes.length) ?? [];
  return list.flatMap((entry) => yaml.oneOf(entry, scopes) ?? []);
}

function expiryOf(yaml: YamlFile, place: YamlValue): number | undefined {
  const text = yaml.text(place, /./, 'an RFC 3339 time, for example 2027-12-31T00:00:00Z');
  const timeMs = text === undefined ? undefined : timestampOf(text);
  if (typeof timeMs !== 'string') return timeMs;
  yaml.refuse(place, 'must be an RFC 3339 time, for example 2027-12-31T00:00:00Z');
  return undefined;
}

function refuseDuplicates(yaml: YamlFile, entries: readonly YamlValue[], keys: readonly Partial<AccessKey>[]): void {
  const seen = new Set<string>();
  const isRepeated = (text: string): boolean => seen.size === seen.add(text).size;
  keys.forEach(({ name, digest }, index) => {
    const place = entries[index]!;
    if (name !== undefined && isRepeated(`name ${name}`)) yaml.refuse(place, `has the name of another key, ${name}`);
    if (digest === undefined) return;
    if (isRepeated(`digest ${Buffer.from(digest).toString('hex')}`))
      yaml.refuse(place, 'has the sha256 of another key');
  });
}
