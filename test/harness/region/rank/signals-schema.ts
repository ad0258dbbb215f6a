/** Schemas for tests of what counts and ranks signals. */
import type { Schema, Sentiment, SignalDefinition, Window } from '../../../../services/region/schema/schema.ts';
import { windows } from '../../../../services/region/schema/schema.ts';

export type SignalMagnitude = readonly [
  name: string,
  sentiment: Sentiment,
  halfLifeSeconds: number,
  windows?: readonly Window[],
];

export function schemaOf(...signals: readonly SignalMagnitude[]): Schema {
  const definitions = signals.map(([name, sentiment, halfLifeSeconds, shown]): [string, SignalDefinition] => [
    name,
    { name, sentiment, halfLifeSeconds, windows: shown ?? windows },
  ]);
  return {
    signals: new Map(definitions),
    textFields: [],
    bm25: { k1: 1.2, b: 0.75 },
    embedding: { dimensions: 2 },
    profiles: new Map(),
    hash: '0123456789abcdef',
  };
}
