/** What the state stores, value by value, as the digest reads it. */
import type { Digested, ValueSink } from '../../../../services/region/state/digest/digest.ts';

type Part = string | number | bigint | Uint8Array;

/** Entities ascending; of one entity registers first, then signals by name. */
export function forEachValue(state: Digested, visit: (entity: number, parts: readonly Part[]) => void): void {
  const values: { readonly entity: number; readonly parts: Part[] }[] = [];
  const add = (part: Part): void => void values.at(-1)!.parts.push(part);
  const sink: ValueSink = {
    begin: (entity) => void values.push({ entity, parts: [] }),
    number: add,
    text: add,
    bytes: (part) => add(Uint8Array.from(part)),
    end() {},
  };
  for (const part of state.digested) for (let entry = 0; entry < part.entries; entry++) part.describe(entry, sink);
  for (const { entity, parts } of values.sort((a, b) => a.entity - b.entity)) visit(entity, parts);
}
