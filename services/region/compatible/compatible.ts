/**
 * Whether a schema may follow another on the same log. Batches log signal names, and sums are stored by name: a name that changes
 * its meaning or is removed would change the meaning of old events, in this region only.
 *
 * A region stores the description of the schema it last started with and refuses to start with one that does not contain it.
 * Additions are free; boosts, BM25 parameters and text fields are too, because the text index is rebuilt, and so are profiles,
 * because they affect answers, not stored state. How text fields are analysed is described beside that: two regions that analyse
 * differently do not have the same schema, and a start says what it indexes in another way than the one before.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import type { Batch } from '../batch/batch.ts';
import type { Schema } from '../schema/schema.ts';
import { ANALYSIS_VERSION, analysisOf } from '../state/text/analysis/analysis.ts';

/** The part of a schema that the log depends on: plain JSON, stored between starts. Signals by name, ascending. */
export interface SchemaDescription {
  readonly signals: readonly {
    readonly name: string;
    readonly sentiment: string;
    readonly halfLifeSeconds: number;
    readonly windows: readonly string[];
  }[];
  readonly dimensions: number;
  /** Absent: written before text fields were described. */
  readonly text?: TextDescription;
}

/** How texts are analysed. */
export interface TextDescription {
  /** `ANALYSIS_VERSION` of the program. */
  readonly version: number;
  /** By name, ascending; stop words too, if they are a list. */
  readonly fields: readonly {
    readonly name: string;
    readonly language: string;
    readonly stopWords: boolean | string[];
  }[];
}

/** Two schemas that are equivalent for the log have the same description, key order included. */
export function describeSchema(schema: Pick<Schema, 'signals' | 'embedding' | 'textFields'>): SchemaDescription {
  return {
    signals: [...schema.signals.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, sentiment, halfLifeSeconds, windows }) => ({ name, sentiment, halfLifeSeconds, windows })),
    dimensions: schema.embedding.dimensions,
    text: {
      version: ANALYSIS_VERSION,
      fields: [...schema.textFields]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map((field) => {
          const { language, stopWords } = analysisOf(field);
          const words = typeof stopWords === 'boolean' ? stopWords : [...new Set(stopWords)].sort();
          return { name: field.name, language, stopWords: words };
        }),
    },
  };
}

/**
 * Fields that the present schema, or this program, analyses in another way than the former one, or that are new. `former` is a mark
 * of the store: what is not as this program describes a schema is another way.
 */
export function reanalysedFields(former: unknown, present: SchemaDescription): string[] {
  const { version, fields } = ((former as { readonly text?: unknown } | null)?.text ?? {}) as Partial<
    Record<string, unknown>
  >;
  const before = new Map(
    (Array.isArray(fields) ? (fields as readonly unknown[]) : []).map((field) => [
      (field as { readonly name?: unknown } | null)?.name,
      field,
    ]),
  );
  const isSame = version === present.text?.version;
  return (present.text?.fields ?? [])
    .filter((field) => !isSame || !isDeepStrictEqual(before.get(field.name), field))
    .map(({ name }) => name);
}

/** The names that a log may use. */
export interface Declared {
  hasSignal(name: string): boolean;
  readonly dimensions: number;
}

export function declaredBy({ signals, dimensions }: SchemaDescription): Declared {
  const names = new Set(signals.map(({ name }) => name));
  return { hasSignal: (name) => names.has(name), dimensions };
}

/** A name that the batch uses and the schema does not declare; undefined if there is none. */
export function undeclaredIn(batch: Batch, declared: Declared): string | undefined {
  const unknown = (signal: string): string =>
    `uses the signal ${JSON.stringify(signal)}, which this region's schema does not declare`;
  if (batch.signals !== undefined) {
    // A batch names the signals it uses, and no others.
    const name = batch.signals.names.find((signal) => !declared.hasSignal(signal));
    return name === undefined ? undefined : unknown(name);
  }
  for (const event of batch.events) {
    if ((event.kind === 'signal' || event.kind === 'retraction') && !declared.hasSignal(event.signal))
      return unknown(event.signal);
    if (event.kind === 'embedding' && event.values.length !== declared.dimensions) {
      return `has an embedding of ${event.values.length} dimensions; this region's schema says ${declared.dimensions}`;
    }
  }
  return undefined;
}

/** Names of a stored or received description. */
export function isDescription(value: unknown): value is SchemaDescription {
  const { signals, dimensions } = (value ?? {}) as Partial<SchemaDescription>;
  if (!Number.isSafeInteger(dimensions) || !Array.isArray(signals)) return false;
  return (signals as Partial<SchemaDescription['signals'][number]>[]).every(
    (signal) =>
      typeof signal?.name === 'string' &&
      typeof signal.sentiment === 'string' &&
      Number.isFinite(signal.halfLifeSeconds) &&
      Array.isArray(signal.windows),
  );
}

/** The schema hash of a description: 16 hexadecimal digits. */
export function hashOf(description: SchemaDescription): string {
  return createHash('sha256').update(JSON.stringify(description)).digest('hex').slice(0, 16);
}

/** Names of `former` that were changed in `present` or removed: one sentence each, with its path. */
export function incompatibilities(former: SchemaDescription, present: SchemaDescription): string[] {
  const found: string[] = [];
  const now = new Map(present.signals.map((signal) => [signal.name, signal]));
  for (const was of former.signals) {
    const path = `signals.${was.name}`;
    const is = now.get(was.name);
    if (is === undefined) {
      found.push(`${path}: is missing; it was declared when this region started before, and schemas only add`);
      continue;
    }
    if (is.sentiment !== was.sentiment) {
      found.push(
        `${path}.sentiment: was ${was.sentiment}, cannot become ${is.sentiment}; add a signal with a new name`,
      );
    }
    if (is.halfLifeSeconds !== was.halfLifeSeconds) {
      found.push(
        `${path}.half_life: was ${was.halfLifeSeconds}s, cannot become ${is.halfLifeSeconds}s; add a signal with a new name`,
      );
    }
    const removed = was.windows.filter((window) => !is.windows.includes(window));
    if (removed.length > 0) found.push(`${path}.windows: cannot lose ${removed.join(', ')}; windows are only added`);
  }
  if (present.dimensions !== former.dimensions) {
    found.push(`embedding.dimensions: was ${former.dimensions}, cannot become ${present.dimensions}`);
  }
  return found;
}

/** Throws `ConfigError` when the schema of `file` may not follow the one this region started with before. */
export function requireCompatible(former: SchemaDescription, present: Schema, file: string): void {
  const found = incompatibilities(former, describeSchema(present));
  if (found.length === 0) return;
  throw new ConfigError(
    [
      `${file} changes what the data in this region's folder means:`,
      ...found.map((problem) => `  ${problem}`),
      '  accepted: the former schema, with additions',
    ].join('\n'),
  );
}
