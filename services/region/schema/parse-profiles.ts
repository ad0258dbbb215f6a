/**
 * The `profiles` of the schema's YAML. Mistakes are collected with the others of the file, each with its path, its line and what
 * would have been accepted.
 */

import { durationPattern, parseDurationSeconds } from '../../../shared/config/duration.ts';
import type { YamlFile, YamlValue } from '../../../shared/config/yaml-file.ts';
import { filterSyntax, readFilter } from '../filter/grammar/grammar.ts';
import {
  type Boost,
  builtInProfiles,
  type Gate,
  type Measure,
  type ProfileDefinition,
  type ProfileTerm,
  type SignalDefinition,
  type Window,
  windows,
} from './schema.ts';

const PROFILE_LIMIT = 32;
const TERM_LIMIT = 16;
const GATE_LIMIT = 8;
const BOOST_LIMIT = 8;
const WEIGHT_LIMIT = 1_000_000;
const SUM_LIMIT = 1e15;
const FACTOR_LEAST = 0.001;
const FACTOR_MOST = 1_000;
const AGE_LIMIT_SECONDS = 36_500 * 86_400;

// Profile names are words of the query string, beside the built-in ones.
const namePattern = /^[a-z0-9_]{1,64}$/;
const nameExpected = '1 to 64 lower-case letters, digits and underscores';
const velocityWindows = windows.filter((window): window is Exclude<Window, 'all'> => window !== 'all');
const termKeys = ['signal', 'window', 'velocity', 'decayed', 'recency', 'log', 'weight'];
const measureKeys = ['window', 'velocity', 'decayed'] as const;

/** The signals of the schema: every name of the file, and the definitions that could be read. */
interface DeclaredSignals {
  readonly names: ReadonlySet<string>;
  readonly definitions: ReadonlyMap<string, SignalDefinition>;
}

export function parseProfiles(
  yaml: YamlFile,
  place: YamlValue | undefined,
  signals: DeclaredSignals,
): ReadonlyMap<string, ProfileDefinition> {
  const profiles = new Map<string, ProfileDefinition>();
  if (place === undefined) return profiles;
  const entries = [...yaml.mapping(place)];
  if (entries.length > PROFILE_LIMIT) {
    yaml.refuse(place, `has ${entries.length} entries; at most ${PROFILE_LIMIT} are accepted`);
  }
  for (const [name, entry] of entries) {
    if (!namePattern.test(name)) {
      yaml.refuse(entry, `has a name that cannot be used; names of profiles are ${nameExpected}`);
    } else if (builtInProfiles.some((builtIn) => builtIn === name)) {
      yaml.refuse(entry, `has the name of a built-in profile; those are ${builtInProfiles.join(', ')}`);
    }
    profiles.set(name, new ProfileParser(yaml, signals).profile(name, entry));
  }
  return profiles;
}

/** Unreadable parts are recorded and skipped: the file is refused as a whole. */
class ProfileParser {
  private readonly yaml: YamlFile;
  private readonly signals: DeclaredSignals;

  constructor(yaml: YamlFile, signals: DeclaredSignals) {
    this.yaml = yaml;
    this.signals = signals;
  }

  profile(name: string, place: YamlValue): ProfileDefinition {
    const keys = this.yaml.mapping(place, ['terms', 'gates', 'boosts'], ['terms']);
    const each = <T>(key: string, most: number, parse: (element: YamlValue) => T | undefined): readonly T[] => {
      const list = keys.get(key);
      const elements = (list === undefined ? undefined : this.yaml.list(list, 1, most)) ?? [];
      return elements.map(parse).filter((element) => element !== undefined);
    };
    return {
      name,
      terms: each('terms', TERM_LIMIT, (element) => this.term(element)),
      gates: each('gates', GATE_LIMIT, (element) => this.gate(element)),
      boosts: each('boosts', BOOST_LIMIT, (element) => this.boost(element)),
    };
  }

  private term(place: YamlValue): ProfileTerm | undefined {
    const keys = this.yaml.mapping(place, termKeys);
    if (keys.size === 0) return undefined;
    const weightPlace = keys.get('weight');
    const weight = weightPlace === undefined ? 1 : this.yaml.number(weightPlace, -WEIGHT_LIMIT, WEIGHT_LIMIT);
    const signalPlace = keys.get('signal');
    const recencyPlace = keys.get('recency');
    if ((signalPlace === undefined) === (recencyPlace === undefined)) {
      this.yaml.refuse(place, 'must have either signal or recency');
      return undefined;
    }
    if (recencyPlace !== undefined) {
      for (const key of [...measureKeys, 'log']) {
        const stray = keys.get(key);
        if (stray !== undefined) this.yaml.refuse(stray, 'belongs to terms of a signal, not to recency');
      }
      const halfLife = this.yaml.mapping(recencyPlace, ['half_life'], ['half_life']).get('half_life');
      const halfLifeSeconds = halfLife === undefined ? undefined : this.duration(halfLife);
      if (weight === undefined || halfLifeSeconds === undefined) return undefined;
      return { kind: 'recency', halfLifeSeconds, weight };
    }
    const measure = this.measure(place, keys);
    const logPlace = keys.get('log');
    const log = logPlace === undefined ? false : this.yaml.boolean(logPlace);
    const signal = this.signal(signalPlace!, measure === undefined || measure.of === 'decayed' ? [] : [measure.window]);
    if (signal === undefined || measure === undefined || log === undefined || weight === undefined) return undefined;
    return { kind: 'signal', signal, measure, log, weight };
  }

  private measure(place: YamlValue, keys: ReadonlyMap<string, YamlValue>): Measure | undefined {
    const given = measureKeys.filter((key) => keys.has(key));
    const [key] = given;
    if (key === undefined || given.length > 1) {
      this.yaml.refuse(place, 'must say what of the signal counts by one of window, velocity and decayed');
      return undefined;
    }
    const value = keys.get(key)!;
    if (key === 'window') {
      const window = this.yaml.oneOf(value, windows);
      return window === undefined ? undefined : { of: 'sum', window };
    }
    if (key === 'velocity') {
      const window = this.yaml.oneOf(value, velocityWindows);
      return window === undefined ? undefined : { of: 'velocity', window };
    }
    const decayed = this.yaml.boolean(value);
    if (decayed === false) this.yaml.refuse(value, 'must be true, or left out');
    return decayed === true ? { of: 'decayed' } : undefined;
  }

  private gate(place: YamlValue): Gate | undefined {
    const keys = this.yaml.mapping(place, ['signal', 'window', 'min', 'max', 'max_age']);
    if (keys.size === 0) return undefined;
    const agePlace = keys.get('max_age');
    if (agePlace !== undefined) {
      if (keys.size > 1) this.yaml.refuse(place, 'must have max_age alone, or signal, window, and min or max or both');
      const maxSeconds = this.duration(agePlace);
      return maxSeconds === undefined ? undefined : { kind: 'age', maxSeconds };
    }
    const [signalPlace, windowPlace, minPlace, maxPlace] = ['signal', 'window', 'min', 'max'].map((key) =>
      keys.get(key),
    );
    if (signalPlace === undefined || windowPlace === undefined || (minPlace ?? maxPlace) === undefined) {
      this.yaml.refuse(place, 'must have signal, window, and min or max or both, or max_age alone');
      return undefined;
    }
    const window = this.yaml.oneOf(windowPlace, windows);
    const signal = this.signal(signalPlace, window === undefined ? [] : [window]);
    const min = minPlace === undefined ? 0 : this.yaml.number(minPlace, 0, SUM_LIMIT);
    const max = maxPlace === undefined ? Number.POSITIVE_INFINITY : this.yaml.number(maxPlace, 0, SUM_LIMIT);
    if (signal === undefined || window === undefined || min === undefined || max === undefined) return undefined;
    if (min > max) this.yaml.refuse(place, `lets nothing pass: min ${min} is above max ${max}`);
    return { kind: 'signal', signal, window, min, max };
  }

  private boost(place: YamlValue): Boost | undefined {
    const keys = this.yaml.mapping(place, ['filter', 'factor'], ['filter', 'factor']);
    const [filterPlace, factorPlace] = [keys.get('filter'), keys.get('factor')];
    const text = filterPlace === undefined ? undefined : this.yaml.text(filterPlace, /^.{1,1000}$/s, 'a filter');
    const factor = factorPlace === undefined ? undefined : this.yaml.number(factorPlace, FACTOR_LEAST, FACTOR_MOST);
    if (text === undefined || factor === undefined) return undefined;
    const filter = readFilter(text);
    if ('problem' in filter) {
      this.yaml.refuse(filterPlace!, `character ${filter.position}: ${filter.problem}; ${filterSyntax}`);
      return undefined;
    }
    return { text, filter, factor };
  }

  /** A signal of the schema that has these windows. */
  private signal(place: YamlValue, needed: readonly Window[]): string | undefined {
    const { names, definitions } = this.signals;
    const signal = this.yaml.oneOf(place, [...names]);
    const missing = needed.find((window) => definitions.get(signal ?? '')?.windows.includes(window) === false);
    if (signal === undefined || missing === undefined) return signal;
    const declared = definitions.get(signal)!.windows.join(', ');
    this.yaml.refuse(place, `has no window ${missing}; ${signal} is declared with ${declared}`);
    return undefined;
  }

  private duration(place: YamlValue): number | undefined {
    const expected = 'a duration such as 45s, 30m, 24h or 7d, at most 36500d';
    const text = this.yaml.text(place, durationPattern, expected);
    if (text === undefined) return undefined;
    const seconds = parseDurationSeconds(text)!;
    if (seconds <= AGE_LIMIT_SECONDS) return seconds;
    this.yaml.refuse(place, `must be ${expected}, not "${text}"`);
    return undefined;
  }
}
