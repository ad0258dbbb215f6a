/**
 * A profile of the schema as a `Scorer`: score = (Σ weight · term) · Π factors of the boosts that fit, −Infinity for an
 * item that fails a gate (docs/ranking.md).
 *
 * The bound computes from limits what the score computes from an item's measurements, in the same order. Every measurement is ≥
 * 0, so a term with a positive weight is at most what the limit gives and one with a negative weight at most 0. Floating-point
 * addition and multiplication never turn ≤ into >; logarithms and powers may by their last bit, which the slack covers.
 */

import { formatDuration } from '../../../shared/config/duration.ts';
import { assert } from '../../../shared/kernel/kernel.ts';
import { compileFilters, type MetadataTest } from '../filter/filter.ts';
import type { Gate, ProfileDefinition, ProfileTerm, SignalTerm } from '../schema/schema.ts';
import { type Schema, windowSeconds } from '../schema/schema.ts';
import type { ScorePart } from '../scored/scored.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { LedgerView } from '../state/ledger/ledger.ts';
import type { Steady } from './known-bounds/known-bounds.ts';
import { type Limits, type Scorer, spanMsOf } from './scorer.ts';

/** Decayed scores for a read time long past are extremely large: no sum of parts may become infinite. */
const LARGEST = 1e300;
/** More than the rounding error of a logarithm or a power. */
const SLACK = 1 + 2 ** -50;

export interface CustomProfileParts {
  readonly schema: Schema;
  readonly ledger: Pick<LedgerView, 'sum' | 'decayed'>;
  readonly catalog: Pick<Catalog, 'item'>;
}

interface Term {
  readonly name: string;
  readonly weight: number;
  /** The measurement, ≥ 0. */
  value(entity: number, createdMs: number, atMs: number): number;
  /** Not below the value of any item within the limits. */
  upperBound(limits: Limits, atMs: number): number;
}

interface CompiledGate {
  passes(entity: number, createdMs: number, atMs: number): boolean;
  /** False if no item within the limits passes. */
  mayPass(limits: Limits, atMs: number): boolean;
}

interface CompiledBoost {
  readonly name: string;
  readonly fits: MetadataTest;
  readonly factor: number;
}

/** The profile as a function of the read time. */
export function compileProfile(definition: ProfileDefinition, parts: CustomProfileParts): (atMs: number) => Scorer {
  const compiled: Compiled = {
    terms: definition.terms.map((term) => compileTerm(term, parts)),
    gates: definition.gates.map((gate) => compileGate(gate, parts)),
    boosts: definition.boosts.map(({ text, filter, factor }) => ({
      name: `boost ${text}`,
      fits: compileFilters([filter]),
      factor,
    })),
    catalog: parts.catalog,
    steady: steadyOf(definition),
    ofSignalsOnly:
      definition.terms.every(({ kind }) => kind === 'signal') &&
      definition.gates.length + definition.boosts.length === 0,
  };
  return (atMs) => new CustomScorer(compiled, atMs);
}

interface Compiled {
  readonly terms: readonly Term[];
  readonly gates: readonly CompiledGate[];
  readonly boosts: readonly CompiledBoost[];
  readonly catalog: Pick<Catalog, 'item'>;
  readonly steady: Steady | undefined;
  /** Every item without a signal scores 0. */
  readonly ofSignalsOnly: boolean;
}

class CustomScorer implements Scorer {
  readonly gated: boolean;
  readonly quiet?: number;
  readonly steady?: Steady;
  private readonly compiled: Compiled;
  private readonly atMs: number;

  constructor(compiled: Compiled, atMs: number) {
    this.compiled = compiled;
    this.atMs = atMs;
    this.gated = compiled.gates.length > 0;
    if (compiled.ofSignalsOnly) this.quiet = 0;
    if (compiled.steady !== undefined) this.steady = compiled.steady;
  }

  score(entity: number, createdMs: number): number {
    const { terms, gates, boosts } = this.compiled;
    for (const gate of gates) if (!gate.passes(entity, createdMs, this.atMs)) return Number.NEGATIVE_INFINITY;
    let score = 0;
    for (const { value, weight } of terms) score += clamped(weight * value(entity, createdMs, this.atMs));
    if (boosts.length === 0) return score;
    const metadata = this.compiled.catalog.item(entity)?.metadata ?? {};
    for (const { fits, factor } of boosts) if (fits(metadata)) score = clamped(score * factor);
    return score;
  }

  bound(limits: Limits): number {
    const { terms, gates, boosts } = this.compiled;
    for (const gate of gates) if (!gate.mayPass(limits, this.atMs)) return Number.NEGATIVE_INFINITY;
    let bound = 0;
    for (const { upperBound, weight } of terms)
      if (weight > 0) bound += clamped(weight * upperBound(limits, this.atMs));
    // A factor may or may not apply: the larger result counts.
    for (const { factor } of boosts) bound = Math.max(bound, clamped(bound * factor));
    return bound;
  }

  explain(entity: number, createdMs: number): readonly ScorePart[] {
    const { terms, boosts, catalog } = this.compiled;
    const parts = terms.map(({ name, value, weight }): ScorePart => {
      const measured = value(entity, createdMs, this.atMs);
      return { term: name, value: measured, weight, part: clamped(weight * measured) };
    });
    const metadata = catalog.item(entity)?.metadata ?? {};
    let score = parts.reduce((sum, { part }) => sum + part, 0);
    for (const { name, fits, factor } of boosts) {
      if (!fits(metadata)) continue;
      const boosted = clamped(score * factor);
      parts.push({ term: name, value: score, weight: factor - 1, part: boosted - score });
      score = boosted;
    }
    return parts;
  }
}

/** Undefined if time alone changes a score: by decay or by the age of the item. */
function steadyOf({ name, terms, gates }: ProfileDefinition): Steady | undefined {
  let spanMs = Number.POSITIVE_INFINITY;
  for (const term of terms) {
    if (term.kind !== 'signal' || term.measure.of === 'decayed') return undefined;
    spanMs = Math.min(spanMs, spanMsOf(term.measure.window));
  }
  for (const gate of gates) {
    if (gate.kind === 'age') return undefined;
    spanMs = Math.min(spanMs, spanMsOf(gate.window));
  }
  return { name, spanMs };
}

function compileTerm(term: ProfileTerm, parts: CustomProfileParts): Term {
  if (term.kind === 'signal') return term.log ? logarithmOf(measured(term, parts)) : measured(term, parts);
  const halfLifeMs = term.halfLifeSeconds * 1000;
  const recency = (createdMs: number, atMs: number): number => 2 ** (-Math.max(0, atMs - createdMs) / halfLifeMs);
  return {
    name: `recency ${formatDuration(term.halfLifeSeconds)}`,
    weight: term.weight,
    value: (_, createdMs, atMs) => recency(createdMs, atMs),
    upperBound: ({ newestMs }, atMs) => recency(newestMs, atMs) * SLACK,
  };
}

function measured({ signal, measure, weight }: SignalTerm, { schema, ledger }: CustomProfileParts): Term {
  const place = placeOf(signal, schema);
  if (measure.of === 'decayed') {
    return {
      name: `${signal} decayed`,
      weight,
      value: (entity, _, atMs) => ledger.decayed(entity, signal, atMs),
      upperBound: (limits) => limits.decayed(place),
    };
  }
  const { window } = measure;
  const seconds = measure.of === 'velocity' ? windowSeconds[measure.window] : 1;
  return {
    name: measure.of === 'velocity' ? `${signal} velocity ${window}` : `${signal} ${window}`,
    weight,
    value: (entity, _, atMs) => ledger.sum(entity, signal, window, atMs) / seconds,
    upperBound: (limits) => limits.sum(place, window) / seconds,
  };
}

function logarithmOf({ name, weight, value, upperBound }: Term): Term {
  return {
    name: `log10(1 + ${name})`,
    weight,
    value: (entity, createdMs, atMs) => Math.log10(1 + value(entity, createdMs, atMs)),
    upperBound: (limits, atMs) => Math.log10(1 + upperBound(limits, atMs)) * SLACK,
  };
}

function compileGate(gate: Gate, { schema, ledger }: CustomProfileParts): CompiledGate {
  if (gate.kind === 'age') {
    const maxMs = gate.maxSeconds * 1000;
    return {
      passes: (_, createdMs, atMs) => atMs - createdMs <= maxMs,
      mayPass: ({ newestMs }, atMs) => atMs - newestMs <= maxMs,
    };
  }
  const { signal, window, min, max } = gate;
  const place = placeOf(signal, schema);
  return {
    passes(entity, _, atMs) {
      const sum = ledger.sum(entity, signal, window, atMs);
      return sum >= min && sum <= max;
    },
    mayPass: (limits) => limits.sum(place, window) >= min,
  };
}

function placeOf(signal: string, schema: Schema): number {
  const place = [...schema.signals.keys()].indexOf(signal);
  assert(place >= 0, 'a profile uses signals of its schema only', () => signal);
  return place;
}

function clamped(value: number): number {
  return Math.min(LARGEST, Math.max(-LARGEST, value));
}
