/** Reads a drill's file. All mistakes are reported at once, each with its line and what is accepted. */
import { parseDurationSeconds } from '../../shared/config/duration.ts';
import { readConfigFile, YamlFile, type YamlValue } from '../../shared/config/yaml-file.ts';
import { DRILL_TITLE_LIMIT, isDrillTitle } from '../../shared/leadership/leadership.ts';
import { regionPattern } from '../../shared/topology/topology.ts';
import {
  type Bounds,
  type Drill,
  flattened,
  type Load,
  type Measure,
  measureNames,
  type Outcome,
  outcomes,
  REQUEST_LIMIT_MS,
  roles,
  type Step,
  waitConditions,
} from './drill.ts';

const STEP_LIMIT = 100;
const REPEAT_LIMIT = 100;
/** With repetitions. */
const STEPS_LIMIT = 1_000;
const LIMIT_SECONDS = 24 * 3_600;
const WRITERS_LIMIT = 256;
/** Of a process. */
const SHORTEST_ABSENCE_MS = 1_000;
const RATE_LIMIT = 10_000;

const defaults = { limit: 600, observe: 5, recoverWithin: 60 } as const;

const stepNames = [
  ...['partition', 'heal', 'promote', 'wait', 'verify'],
  ...['kill', 'pause', 'restart', 'start', 'stop-nats', 'wipe-nats', 'repeat'],
] as const;
type StepName = (typeof stepNames)[number];
const singleSteps = stepNames.filter((name) => name !== 'repeat');

/** The keys that a step may have beside its name. */
const stepOptions: Readonly<Partial<Record<StepName, readonly string[]>>> = {
  partition: ['heal_after'],
  heal: ['wait'],
  promote: ['force'],
  wait: ['until'],
  kill: ['for'],
  pause: ['for'],
  'stop-nats': ['for'],
};

/** Throws `ConfigError`. */
export function loadDrill(path: string): Drill {
  return parseDrill(readConfigFile(path), path);
}

/** `file` only names the source in messages. Throws `ConfigError`. */
export function parseDrill(text: string, file: string): Drill {
  const yaml = new YamlFile(text, file);
  const top = yaml.mapping(
    yaml.root,
    ['version', 'title', 'why', 'needs', 'limit', 'observe', 'recover_within'].concat(
      ...['steady', 'load', 'steps', 'abort', 'expect'],
    ),
    ['title', 'why', 'steady', 'load', 'steps'],
  );
  const at = <T>(key: string, read: (place: YamlValue) => T | undefined): T | undefined => {
    const place = top.get(key);
    return place === undefined ? undefined : read(place);
  };
  at('version', (place) => yaml.number(place, 1, 1, 'integer'));
  const title = at('title', (place) =>
    yaml.text(place, /^[^\n]{1,120}$/, 'a title of 1 to 120 characters on one line'),
  );
  // Control characters would reach terminals.
  if (title !== undefined && !isDrillTitle(title))
    yaml.refuse(top.get('title')!, `must have no control characters and at most ${DRILL_TITLE_LIMIT} UTF-16 units`);
  const why = at('why', (place) => yaml.text(place, /^[\s\S]{1,2000}$/, 'a text of 1 to 2000 characters'));
  const duration = (place: YamlValue) => durationMs(yaml, place);
  const needs = at('needs', (place) => yaml.mapping(place, ['regions', 'failover']));
  const needed = needs?.get('regions');
  const failover = needs?.get('failover');
  if (failover !== undefined) yaml.oneOf(failover, ['automatic']);
  const steadyPlace = top.get('steady');
  const steady = steadyPlace === undefined ? undefined : yaml.mapping(steadyPlace, [...measureNames, 'converged']);
  const converged = steady?.get('converged');
  const load = at('load', (place) => parseLoad(yaml, place));
  const steps = at('steps', (place) => parseSteps(yaml, place, stepNames)) ?? [];
  const abort = at('abort', (place) => yaml.mapping(place, measureNames));
  const drill: Drill = {
    title: title ?? '',
    why: (why ?? '').trim(),
    regions: (needed === undefined ? undefined : yaml.number(needed, 1, 16, 'integer')) ?? 1,
    automaticFailover: failover !== undefined,
    limitMs: at('limit', duration) ?? defaults.limit * 1_000,
    observeMs: at('observe', duration) ?? defaults.observe * 1_000,
    recoverWithinMs: at('recover_within', duration) ?? defaults.recoverWithin * 1_000,
    steady: {
      bounds: boundsOf(yaml, steady, measureNames),
      converged: (converged === undefined ? undefined : yaml.boolean(converged)) ?? false,
    },
    load: load === 'none' ? undefined : load,
    steps,
    abort: boundsOf(yaml, abort, measureNames),
    expect: boundsOf(
      yaml,
      at('expect', (place) => yaml.mapping(place, Object.keys(outcomes))),
      Object.keys(outcomes) as Outcome[],
    ),
  };
  const idle = ['error_rate', 'write_p99_ms', 'read_p99_ms'] as const;
  for (const entries of load === 'none' ? [steady, abort] : []) {
    for (const name of idle) {
      const place = entries?.get(name);
      if (place !== undefined) yaml.refuse(place, 'needs a load, and load is none');
    }
  }
  for (const [name, place] of abort ?? []) refuseIdleBound(yaml, place, name as Measure, drill.abort[name as Measure]);
  const count = flattened(steps).length;
  if (count > STEPS_LIMIT)
    yaml.refuse(top.get('steps')!, `has ${count} steps with repetitions; at most ${STEPS_LIMIT}`);
  yaml.finish();
  return drill;
}

function durationMs(yaml: YamlFile, place: YamlValue): number | undefined {
  const expected = 'a duration such as 500ms, 10s, 5m or 1h, at most 24h';
  const text = yaml.text(place, /^[1-9][0-9]{0,8}(ms|s|m|h)$/, expected);
  if (text === undefined) return undefined;
  const ms = text.endsWith('ms') ? Number(text.slice(0, -2)) : parseDurationSeconds(text)! * 1_000;
  if (ms <= LIMIT_SECONDS * 1_000) return ms;
  yaml.refuse(place, `must be ${expected}, not "${text}"`);
  return undefined;
}

/** Of the entries that are bounds. */
function boundsOf<N extends string>(
  yaml: YamlFile,
  entries: Map<string, YamlValue> | undefined,
  names: readonly N[],
): Partial<Record<N, Bounds>> {
  const found: Partial<Record<N, Bounds>> = {};
  for (const name of names) {
    const place = entries?.get(name);
    if (place === undefined) continue;
    const keys = yaml.mapping(place, ['min', 'max']);
    const most = name === 'error_rate' ? 1 : Number.MAX_SAFE_INTEGER;
    const [min, max] = ['min', 'max'].map((key) => {
      const bound = keys.get(key);
      return bound === undefined ? undefined : yaml.number(bound, 0, most);
    });
    if (keys.size === 0) yaml.refuse(place, 'must have min, max or both');
    else if (min !== undefined && max !== undefined && min > max) yaml.refuse(place, 'has a min above its max');
    else found[name] = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
  }
  return found;
}

/** An abort condition that no measured value can meet. */
function refuseIdleBound(yaml: YamlFile, place: YamlValue, name: Measure, bound: Bounds | undefined): void {
  if (bound === undefined || (bound.min ?? 0) > 0) return;
  const { max } = bound;
  if (max === undefined) yaml.refuse(place, 'can never abort: no value is below 0');
  else if (name === 'error_rate' && max >= 1) yaml.refuse(place, 'can never abort: max must be below 1');
  else if (name.endsWith('_p99_ms') && max >= REQUEST_LIMIT_MS)
    yaml.refuse(place, `can never abort: max must be below ${REQUEST_LIMIT_MS}, after which a request is given up`);
}

function parseLoad(yaml: YamlFile, place: YamlValue): Load | 'none' | undefined {
  if (yaml.isText(place)) return yaml.oneOf(place, ['none']);
  const keys = yaml.mapping(
    place,
    ['writers', 'writes_per_second', 'readers', 'reads_per_second', 'signal', 'keyed'],
    ['writers', 'writes_per_second'],
  );
  const number = (key: string, [min, max]: readonly [number, number], kind?: 'integer'): number | undefined => {
    const found = keys.get(key);
    return found === undefined ? undefined : yaml.number(found, min, max, kind);
  };
  const signal = keys.get('signal');
  const keyed = keys.get('keyed');
  const readers = number('readers', [0, WRITERS_LIMIT], 'integer') ?? 0;
  if (readers > 0 && !keys.has('reads_per_second')) yaml.refuse(place, 'lacks the key reads_per_second');
  return {
    writers: number('writers', [1, WRITERS_LIMIT], 'integer') ?? 1,
    writesPerSecond: number('writes_per_second', [0.1, RATE_LIMIT]) ?? 1,
    readers,
    readsPerSecond: number('reads_per_second', [0.1, RATE_LIMIT]) ?? 1,
    signal:
      (signal === undefined ? undefined : yaml.text(signal, /^\S{1,64}$/, 'a signal of the schema, such as view')) ??
      'view',
    keyed: (keyed === undefined ? undefined : yaml.boolean(keyed)) ?? true,
  };
}

/** `accepted`: a repetition contains no other. */
function parseSteps(yaml: YamlFile, place: YamlValue, accepted: readonly StepName[]): Step[] {
  return (yaml.list(place, 1, STEP_LIMIT) ?? []).flatMap((element) => parseStep(yaml, element, accepted) ?? []);
}

function parseStep(yaml: YamlFile, place: YamlValue, accepted: readonly StepName[]): Step | undefined {
  const options = new Set(Object.values(stepOptions).flat());
  const keys = yaml.mapping(place, [...new Set([...accepted, ...options])]);
  // `wait` is a step, and what a heal may be asked for.
  const names = accepted.filter((name) => keys.has(name) && !(name === 'wait' && keys.has('heal')));
  const [name] = names;
  if (name === undefined || names.length > 1) {
    if (keys.size > 0 || yaml.isMapping(place))
      yaml.refuse(place, `must have exactly one of the keys ${accepted.join(', ')}`);
    return undefined;
  }
  for (const [key, option] of keys) {
    if (key === name || stepOptions[name]?.includes(key) === true) continue;
    const known = stepOptions[name] ?? [];
    yaml.refuse(
      option,
      `does not belong to ${name}, which takes ${known.length === 0 ? 'no more keys' : known.join(', ')}`,
    );
  }
  const value = keys.get(name)!;
  const flag = (key: string): boolean => {
    const found = keys.get(key);
    return (found === undefined ? undefined : yaml.boolean(found)) ?? false;
  };
  const ms = (key: string): number | undefined => {
    const found = keys.get(key);
    const read = found === undefined ? undefined : durationMs(yaml, found);
    // What starts and stops processes looks a few times a second: a shorter absence may not be seen.
    if (key === 'for' && read !== undefined && read < SHORTEST_ABSENCE_MS)
      yaml.refuse(found!, `must be at least ${SHORTEST_ABSENCE_MS / 1_000}s`);
    return read;
  };
  const region = (): string => yaml.text(value, regionPattern, `a region's name, or ${roles.join(', ')}`) ?? '';
  const process = (): string =>
    yaml.text(value, regionPattern, `a region's name, ${roles.join(', ')}, router or nats`) ?? '';
  const isTrue = (): void => {
    if (yaml.boolean(value) === false) yaml.refuse(value, 'must be true: leave the step out instead');
  };
  const optional = <K extends string>(key: K, found: number | undefined) =>
    (found === undefined ? {} : { [key]: found }) as { readonly [key in K]?: number };
  switch (name) {
    case 'partition':
      return { do: name, region: region(), ...optional('healAfterMs', ms('heal_after')) };
    case 'heal':
      return { do: name, region: region(), wait: flag('wait') };
    case 'promote':
      return { do: name, region: region(), force: flag('force') };
    case 'wait': {
      const until = keys.get('until');
      const condition = until === undefined ? undefined : yaml.oneOf(until, waitConditions);
      return { do: name, ms: durationMs(yaml, value) ?? 0, ...(condition === undefined ? {} : { until: condition }) };
    }
    case 'verify':
    case 'wipe-nats':
      isTrue();
      return { do: name };
    case 'stop-nats':
      isTrue();
      return { do: name, ...optional('ms', ms('for')) };
    case 'kill':
    case 'pause':
      return { do: name, process: process(), ...optional('ms', ms('for')) };
    case 'restart':
    case 'start':
      return { do: name, process: process() };
    case 'repeat': {
      const inner = yaml.mapping(value, ['times', 'steps'], ['times', 'steps']);
      const times = inner.get('times');
      const steps = inner.get('steps');
      return {
        do: name,
        times: (times === undefined ? undefined : yaml.number(times, 1, REPEAT_LIMIT, 'integer')) ?? 1,
        steps: steps === undefined ? [] : parseSteps(yaml, steps, singleSteps),
      };
    }
  }
}
