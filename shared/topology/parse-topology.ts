/** Parses the topology's YAML once at the start. All mistakes are reported at once. */
import { durationPattern, parseDurationSeconds } from '../config/duration.ts';
import { readConfigFile, YamlFile, type YamlValue } from '../config/yaml-file.ts';
import { FAILOVER_AFTER_LEAST_MS } from '../protocol/deadlines.ts';
import { type RegionEntry, regionPattern, type Topology } from './topology.ts';

const REGION_LIMIT = 16;
const FORMER_LIMIT = 64;
/** Default address of a region. */
const DEFAULT_PORT = 9510;
const FAILOVER_AFTER_SECONDS = 4;
const nameExpected = 'a region name of 1 to 32 lower-case letters, digits and hyphens';

/** `file` only names the source in messages; `tls`: the regions are reached by TLS only. Throws `ConfigError`. */
export function parseTopology(text: string, file: string, { tls = false } = {}): Topology {
  const yaml = new YamlFile(text, file);
  const top = yaml.mapping(
    yaml.root,
    ['version', 'leader', 'failover', 'failover_after', 'regions', 'former_regions'],
    ['leader', 'regions'],
  );
  const version = top.get('version');
  if (version !== undefined) yaml.number(version, 1, 1, 'integer');

  const regions: RegionEntry[] = [];
  /** The names of all regions, even if an address cannot be read; undefined if a name cannot. */
  let names: string[] | undefined = [];
  const list = top.get('regions');
  for (const element of (list === undefined ? undefined : yaml.list(list, 1, REGION_LIMIT)) ?? []) {
    const keys = yaml.mapping(element, ['name', 'url'], ['name']);
    const namePlace = keys.get('name');
    const name = namePlace === undefined ? undefined : yaml.text(namePlace, regionPattern, nameExpected);
    const urlPlace = keys.get('url');
    const scheme = tls ? 'https' : 'http';
    const url = urlPlace === undefined ? `${scheme}://${name}:${DEFAULT_PORT}` : parseUrl(yaml, urlPlace, tls);
    if (name === undefined) {
      names = undefined;
      continue;
    }
    if (names?.includes(name) === true) {
      yaml.refuse(namePlace!, `is the second region named ${name}; names must differ`);
      continue;
    }
    names?.push(name);
    if (url === undefined) continue;
    const twin = regions.find((region) => region.url === url);
    if (twin !== undefined) {
      yaml.refuse(urlPlace ?? element, `is the address of ${twin.name} too; regions are separate processes`);
    }
    regions.push({ name, url });
  }

  const formerRegions = parseFormer(yaml, top.get('former_regions'), names ?? []);
  const leaderPlace = top.get('leader');
  const leader = leaderPlace === undefined ? undefined : yaml.text(leaderPlace, regionPattern, nameExpected);
  // An unreadable name may be the leader's, and was reported already.
  if (leader !== undefined && names !== undefined && names.length > 0 && !names.includes(leader)) {
    yaml.refuse(leaderPlace!, `must be one of the regions ${names.join(', ')}, not ${leader}`);
  }
  const failover = parseFailover(yaml, top.get('failover'), top.get('failover_after'));
  yaml.finish();
  return {
    regions,
    ...(formerRegions.length === 0 ? {} : { formerRegions }),
    firstLeader: leader!,
    ...(failover === undefined ? {} : { failover }),
  };
}

/** Reads and parses the file. Throws `ConfigError`. */
export function loadTopology(path: string, how: { readonly tls?: boolean } = {}): Topology {
  return parseTopology(readConfigFile(path), path, how);
}

function parseFormer(yaml: YamlFile, list: YamlValue | undefined, present: readonly string[]): string[] {
  const former: string[] = [];
  for (const element of (list === undefined ? undefined : yaml.list(list, 1, FORMER_LIMIT)) ?? []) {
    const name = yaml.text(element, regionPattern, nameExpected);
    if (name === undefined) continue;
    if (present.includes(name)) yaml.refuse(element, `is ${name}, which is a region still`);
    else former.push(name);
  }
  return former;
}

function parseFailover(
  yaml: YamlFile,
  mode: YamlValue | undefined,
  after: YamlValue | undefined,
): { readonly afterMs: number } | undefined {
  const automatic = mode !== undefined && yaml.oneOf(mode, ['manual', 'automatic']) === 'automatic';
  if (after !== undefined && mode === undefined) yaml.refuse(after, 'goes with failover: automatic, which is missing');
  if (after === undefined) return automatic ? { afterMs: FAILOVER_AFTER_SECONDS * 1_000 } : undefined;
  const expected = 'a duration from 2s to 1h, such as 5s';
  const text = yaml.text(after, durationPattern, expected);
  const seconds = text === undefined ? undefined : parseDurationSeconds(text)!;
  if (seconds !== undefined && (seconds * 1_000 < FAILOVER_AFTER_LEAST_MS || seconds > 3_600)) {
    yaml.refuse(after, `must be ${expected}, not ${JSON.stringify(text)}`);
  }
  return automatic && seconds !== undefined ? { afterMs: seconds * 1_000 } : undefined;
}

function parseUrl(yaml: YamlFile, place: YamlValue, tls: boolean): string | undefined {
  const expected = 'a base URL such as http://us-east:9510, without path or query';
  const text = yaml.text(place, /^https?:\/\//, expected);
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '') {
    if (!tls || url.protocol === 'https:') return url.origin;
    yaml.refuse(
      place,
      `must begin with https://, because this process has TLS (TIDAL_TLS_CERT_FILE), not ${JSON.stringify(text)}`,
    );
    return undefined;
  }
  yaml.refuse(place, `must be ${expected}, not ${JSON.stringify(text)}`);
  return undefined;
}
