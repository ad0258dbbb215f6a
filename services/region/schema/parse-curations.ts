/** The `curations` of the schema's YAML. Mistakes are collected with the others of the file. */
import type { YamlFile, YamlValue } from '../../../shared/config/yaml-file.ts';
import { foldCase, tokensOf } from '../state/text/analysis/analysis.ts';
import type { Curation } from './schema.ts';

const CURATIONS_LIMIT = 1_000;
const PIN_LIMIT = 100;
const HIDE_LIMIT = 100;
const QUERY_LIMIT = 1_000;

export function parseCurations(yaml: YamlFile, place: YamlValue | undefined): readonly Curation[] {
  if (place === undefined) return [];
  const queries = new Set<string>();
  const curations: Curation[] = [];
  for (const entry of yaml.list(place, 1, CURATIONS_LIMIT) ?? []) {
    const keys = yaml.mapping(entry, ['query', 'pin', 'hide'], ['query']);
    const [queryPlace, pinPlace, hidePlace] = [keys.get('query'), keys.get('pin'), keys.get('hide')];
    const query =
      queryPlace && yaml.text(queryPlace, new RegExp(`^.{1,${QUERY_LIMIT}}$`, 's'), `1 to ${QUERY_LIMIT} characters`);
    const pin = idsOf(yaml, pinPlace, PIN_LIMIT);
    const hide = idsOf(yaml, hidePlace, HIDE_LIMIT);
    if (query === undefined) continue;
    const words = [...tokensOf(query)].map(({ text }) => foldCase(text)).join(' ');
    if (words === '') yaml.refuse(queryPlace!, 'has no words to search for');
    else if (queries.has(words)) yaml.refuse(queryPlace!, 'has the words of an earlier curation');
    queries.add(words);
    if (pin.length + hide.length === 0) yaml.refuse(entry, 'must have ids to pin or to hide');
    const both = pin.find((id) => hide.includes(id));
    if (both !== undefined) yaml.refuse(entry, `both pins and hides ${both}`);
    curations.push({ query, pin, hide });
  }
  return curations;
}

function idsOf(yaml: YamlFile, place: YamlValue | undefined, limit: number): readonly number[] {
  if (place === undefined) return [];
  const ids = new Set<number>();
  for (const element of yaml.list(place, 1, limit) ?? []) {
    const id = yaml.number(element, 0, Number.MAX_SAFE_INTEGER, 'integer');
    if (id === undefined) continue;
    if (ids.has(id)) yaml.refuse(element, `has ${id} more than once`);
    ids.add(id);
  }
  return [...ids];
}
