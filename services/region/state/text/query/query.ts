/**
 * The query language, and what a query means: from its text to clauses of terms of the index.
 *
 * In plain text a word stands for several terms; a document gets the part of the one that is closest to what was typed:
 *
 *     part = idf · (δ + tf · (k1 + 1) / (k1 + tf))
 *     δ    = 3 (k1 + 1) exact, 2 (k1 + 1) a longer word or a synonym, (k1 + 1) one edit, 0 two edits
 *
 * (BM25+ of Lv and Zhai, Lower-Bounding Term Frequency Normalization, CIKM 2011, has one δ for all.) The fraction is below k1 + 1,
 * so that whatever the lengths and frequencies an exact word adds more than a longer one, and that more than a misspelt one. The
 * idf of an exact word is its own, of the others that of a word which all documents with any of them have: rare misspellings
 * count less than the exact word.
 */
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import { type CountedTerm, type CountedWord, type Form, forms, type Statistics } from '../statistics/statistics.ts';
import type { ExpandedClause, ExpandedQuery } from './clauses.ts';
import {
  type FoundSynonyms,
  findPhrases,
  findSynonyms,
  hasAll,
  matchOnce,
  SYNONYMS_SHARE,
  type SynonymParts,
} from './find-synonyms.ts';
import { parseLunr } from './lunr-syntax.ts';
import {
  EXPANSION_LIMIT_WORDS,
  fuzzyPattern,
  matchWords,
  type Pattern,
  prefixPattern,
  TYPING_LIMIT_WORDS,
  wildcardPattern,
} from './match-words.ts';
import type { PhraseParts } from './phrases.ts';
import { minimumOf, type PlainPart, parsePlain } from './plain-syntax.ts';
import { POSTING_STEPS, QUERY_LIMIT_STEPS, SEVERAL_FIELDS_STEPS } from './query-cost.ts';
import type { Synonyms } from './synonyms.ts';
import type { Clause, Match, Presence, TextQuery } from './text-query.ts';

export { type ExpandedClause, type ExpandedQuery, type ExpandedTerm, hasBit } from './clauses.ts';
export { QueryCost } from './query-cost.ts';
export { Synonyms } from './synonyms.ts';
export { type Matching, matchings, type Syntax, syntaxes, type TextQuery } from './text-query.ts';

/** Typos of a word are looked for if fewer documents have it, or a word that begins with it where that counts. */
export const ENOUGH_DOCUMENTS = 1;
/** Letters of a word from which on one edit is looked for, and two. */
export const TYPO_LETTERS = [4, 8] as const;
/** Words of a query of which typos are looked for. */
export const TYPO_WORDS = 8;
/** The share of the limit of a query's cost that its words may take, and all that stands for them. */
const WORDS_SHARE = 0.75;
const FORMS_SHARE = 0.9;

export interface ExpansionParts extends PhraseParts {
  readonly statistics: Statistics;
  readonly synonyms: Synonyms;
  /** k1 + 1. */
  readonly saturation: number;
}

/** Terms of the words of the query that are looked for, and in which fields. */
type TypedTerms = ReadonlyMap<number, ReadonlySet<number>>;

/** What of a word is looked for. */
interface Wanted {
  readonly exact: boolean;
  /** The limit of words that begin with it; 0: none. */
  readonly prefixes: number;
  readonly typos: boolean;
  readonly synonyms: FoundSynonyms | undefined;
  readonly typed: TypedTerms;
}

/** Terms that stand for a word: each has a form, and is found once. */
interface Found {
  readonly forms: Map<number, Form>;
  /** Of all terms together; a document with two of them counts twice. */
  documents: number;
  leftOut: CountedWord['leftOut'];
}

function nothingFound(): Found {
  return { forms: new Map(), documents: 0, leftOut: 'nothing' };
}

interface Phrase {
  readonly text: string;
  /** Other phrases, one of which suffices. */
  readonly synonyms: readonly string[];
  readonly hasAllSynonyms: boolean;
  readonly presence: Presence;
  readonly boost: number;
  readonly fields: readonly number[] | undefined;
  readonly form: Form;
}

export class Expansion {
  private readonly parts: ExpansionParts & SynonymParts;
  private readonly relaxed: string[] = [];

  constructor(parts: ExpansionParts) {
    this.parts = { ...parts, synonymCost: parts.cost.partOf(SYNONYMS_SHARE), matched: new Map() };
  }

  /** Throws `Refusal('invalid_query')` in lunr's syntax. */
  expand(query: TextQuery): Steps<ExpandedQuery> {
    return query.syntax === 'lunr' ? this.lunr(query.text) : this.plain(query);
  }

  private *plain({ text, matching = 'most' }: TextQuery): Steps<ExpandedQuery> {
    const { index, statistics, cost, synonymCost } = this.parts;
    const { fieldNames, lexicon } = index;
    const isFirst = statistics.averages === undefined;
    const plain = parsePlain(text, { fieldNames, lexicon, synonyms: this.parts.synonyms });
    const { parts: all, isTyping, isEmpty, relaxed } = plain;
    this.relaxed.push(...relaxed);
    const last = isTyping ? all.at(-1) : undefined;
    // Stop words are left out beside others: the last one is only what longer words begin with.
    const hasOther = all.some(({ isExcluded, isStopWord }) => !isExcluded && !isStopWord);
    const isLeftOut = ({ isExcluded, isStopWord }: PlainPart): boolean => isStopWord && !isExcluded && hasOther;
    const parts = all.filter((part) => !isLeftOut(part) || part === last);
    const costs = parts.map((part) => [part, this.costOfOwn(part)] as const);
    const dropped = isFirst ? this.tooExpensive(costs) : new Set<PlainPart>();
    // What was typed is paid for before what stands for it: the words, then the phrases, from the same rest on every page.
    const words = costs.filter(([part]) => part.kind === 'word' && !isLeftOut(part));
    const share = words.reduce((sum, [, steps]) => sum + steps, 0) / QUERY_LIMIT_STEPS;
    const phrases = parts.filter(({ kind }) => kind === 'phrase');
    if (phrases.length > 0) {
      const rest = { ...this.parts, cost: cost.partOf(1 - Math.min(WORDS_SHARE, share)) };
      for (const { text, fields } of phrases) yield* matchOnce(text, fields, rest);
    }
    if (isFirst) for (const [part, steps] of words) if (!dropped.has(part)) cost.spend(steps);
    const typed = this.typedIn(parts.filter((part) => !isLeftOut(part) && !dropped.has(part)));
    const clauses: ExpandedClause[] = [];
    let typos = 0;
    let counted = 0;
    for (const part of parts) {
      const known = statistics.next();
      const fields = this.fieldsOf(part.fields);
      let word = known;
      const isWord = part.kind !== 'phrase' && !isLeftOut(part) && known?.leftOut !== 'all' && !dropped.has(part);
      const synonyms = isWord ? yield* findSynonyms(part.synonyms, part.fields, this.parts) : undefined;
      if (word === undefined && part.kind !== 'phrase') {
        const typo =
          part.kind === 'word' && !part.isExcluded && !part.isStopWord && isSpelling(part.text) && typos < TYPO_WORDS;
        if (typo) typos++;
        const prefixes = prefixesOf(part, part === last);
        const found = dropped.has(part)
          ? ({ terms: [], leftOut: 'all' } as const)
          : yield* this.find(part, { exact: !isLeftOut(part), prefixes, typos: typo, synonyms, typed });
        word = statistics.record(found);
      }
      for (const { term, form } of known?.terms ?? []) {
        (form.match === 'synonym' ? synonymCost : cost).spend(this.costOf(term, fields));
      }
      if (word?.leftOut === 'all') {
        this.relaxed.push(`words:${part.text}`);
        continue;
      }
      const isCounted = !part.isExcluded && !isLeftOut(part);
      if (isCounted) counted++;
      const presence = presenceOf(part, matching, isCounted);
      if (part.kind === 'phrase') {
        const { text, synonyms, hasAllSynonyms } = part;
        const phrase = { text, synonyms, hasAllSynonyms, presence, boost: 1, fields, form: forms.phrase };
        clauses.push(yield* this.phrase(phrase, word));
        continue;
      }
      if (word!.leftOut === 'terms') this.relaxed.push(`expansions:${part.text}*`);
      if (word!.leftOut === 'typos') this.relaxed.push(`expansions:${part.text}~`);
      if (synonyms !== undefined && !hasAll(word!, synonyms)) this.relaxed.push(`synonyms:${part.text}`);
      const terms = this.weighted(word!, synonyms?.phrases);
      clauses.push({ presence, fields, terms, summed: 0, asked: part.text });
    }
    const isBrowse = parts.every(({ isExcluded }) => isExcluded) && (isEmpty || parts.length > 0);
    const minimum = isBrowse ? 0 : statistics.isRelaxed ? 1 : minimumOf(matching, counted);
    const isMinimumRelaxed = matching === 'most' && isFirst;
    if (statistics.isRelaxed) this.relaxed.unshift('matching=most');
    return { clauses, minimum, isBrowse, relaxed: this.relaxed, isMinimumRelaxed };
  }

  /** The words to leave out for the query to be affordable: those of the most documents. */
  private tooExpensive(costs: readonly (readonly [PlainPart, number])[]): ReadonlySet<PlainPart> {
    const { cost } = this.parts;
    let sum = costs.reduce((all, [, steps]) => all + steps, 0);
    const dropped = new Set<PlainPart>();
    for (const [part, steps] of costs.toSorted(([, a], [, b]) => b - a)) {
      if (cost.allows(sum, WORDS_SHARE) || dropped.size === costs.length - 1) break;
      dropped.add(part);
      sum -= steps;
    }
    return dropped;
  }

  /** Steps of reading the postings of its own terms. */
  private costOfOwn({ terms, fields }: PlainPart): number {
    const { lexicon } = this.parts.index;
    const own = new Set(terms.map((term) => lexicon.terms.find(term)));
    return [...own].reduce((sum, term) => sum + this.costOf(term, this.fieldsOf(fields)), 0);
  }

  private typedIn(parts: readonly PlainPart[]): TypedTerms {
    const typed = new Map<number, Set<number>>();
    for (const { kind, isExcluded, terms, fields } of parts) {
      if (kind !== 'word' || isExcluded) continue;
      for (const name of terms) {
        const term = this.parts.index.lexicon.terms.find(name);
        typed.set(term, new Set([...(typed.get(term) ?? []), ...fields]));
      }
    }
    return typed;
  }

  /** The terms that a word stands for. */
  private *find(part: PlainPart, { exact, prefixes, typos, synonyms, typed }: Wanted): Steps<CountedWord> {
    const { index } = this.parts;
    const { postings, lexicon } = index;
    const { text } = part;
    const fields = this.fieldsOf(part.fields);
    const found = nothingFound();
    // `run*` has runs because they begin so, not because they have the same term.
    for (const name of exact && part.kind === 'word' ? part.terms : []) {
      const term = lexicon.terms.find(name);
      if (term < 0 || found.forms.has(term)) continue;
      found.forms.set(term, forms.exact);
      found.documents += postings.documents(term);
    }
    if (synonyms !== undefined) this.addSynonyms(synonyms, fields, found);
    for (const beginning of prefixes > 0 ? part.beginnings : []) {
      const isComplete = yield* this.add(prefixPattern(beginning, prefixes), forms.prefix, fields, found);
      if (!isComplete) found.leftOut = 'terms';
    }
    const exactly = this.documentsOf(found, (form) => form === forms.exact);
    for (const [at, letters] of TYPO_LETTERS.entries()) {
      if (!typos || found.documents >= ENOUGH_DOCUMENTS || [...text].length < letters) break;
      const form = at === 0 ? forms.oneEdit : forms.twoEdits;
      const isComplete = yield* this.add(fuzzyPattern(text, at + 1, lexicon), form, fields, found);
      if (!isComplete && found.leftOut === 'nothing') found.leftOut = 'typos';
    }
    const together = Math.min(index.size, found.documents);
    const terms: CountedTerm[] = [];
    for (const [term, form] of found.forms) {
      // What the query asks for itself, in all of the fields, counts once, there.
      const isTyped = part.fields.every((field) => typed.get(term)?.has(field) === true);
      const factor = form.match === 'synonym' && isTyped ? 0 : 1;
      terms.push({ term, documents: form === forms.exact ? exactly : together, factor, form });
    }
    return { terms, leftOut: found.leftOut };
  }

  /** As many as are affordable. */
  private addSynonyms(
    { terms, phrases, documents }: FoundSynonyms,
    fields: readonly number[] | undefined,
    found: Found,
  ): void {
    const { index, synonymCost } = this.parts;
    for (const term of [...terms, ...phrases.keys()]) {
      const steps = this.costOf(term, fields);
      if (found.forms.has(term) || !synonymCost.allows(steps)) continue;
      synonymCost.spend(steps);
      found.forms.set(term, terms.has(term) ? forms.synonym : forms.synonymPhrase);
      if (terms.has(term)) found.documents += index.postings.documents(term);
    }
    found.documents += documents;
  }

  /** Of the terms of a form together, at most all. */
  private documentsOf({ forms }: Found, isWanted: (form: Form) => boolean): number {
    const { postings, size } = this.parts.index;
    let documents = 0;
    for (const [term, form] of forms) if (isWanted(form)) documents += postings.documents(term);
    return Math.min(size, documents);
  }

  /** Adds the terms of the words that match, as many as are affordable; returns whether these are all. */
  private *add(pattern: Pattern, form: Form, fields: readonly number[] | undefined, found: Found): Steps<boolean> {
    const { index, cost } = this.parts;
    const { lexicon, postings } = index;
    const { words, isComplete } = yield* matchWords(pattern, lexicon, cost);
    let isAffordable = true;
    for (const word of words) {
      const term = lexicon.termOf(word);
      if (found.forms.has(term)) continue;
      const steps = this.costOf(term, fields);
      if (!cost.allows(steps, FORMS_SHARE)) {
        isAffordable = false;
        continue;
      }
      cost.spend(steps);
      // A word is not longer than itself.
      const isSame = form === forms.prefix && lexicon.wordText(word) === pattern.prefix;
      found.forms.set(term, isSame ? forms.exact : form);
      found.documents += postings.documents(term);
    }
    return isComplete && isAffordable;
  }

  /** `known`: its terms, if they are an earlier page's. */
  private *phrase(
    { text, synonyms, hasAllSynonyms, presence, boost, fields, form }: Phrase,
    known?: CountedWord,
  ): Steps<ExpandedClause> {
    const { index, cost, synonymCost, statistics } = this.parts;
    const { postings } = index;
    const all = fields ?? [...index.fieldNames.keys()];
    const { terms, documents, isComplete } = yield* matchOnce(text, all, this.parts);
    const others = yield* findPhrases(synonyms, all, this.parts);
    const counted: CountedTerm[] = [];
    let isAffordable = true;
    for (const term of terms) {
      const steps = this.costOf(term, fields);
      isAffordable &&= counted.length === 0 || cost.allows(steps, FORMS_SHARE);
      if (!isAffordable) break;
      cost.spend(steps);
      counted.push({ term, documents: postings.documents(term), factor: boost, form });
    }
    // A synonym counts no more than the rarest word of the phrase that was asked for.
    const least = terms.length === 0 ? 0 : postings.documents(terms[0]!);
    let isUsed = hasAllSynonyms;
    for (const term of others.phrases.keys()) {
      const steps = this.costOf(term, fields);
      isUsed &&= synonymCost.allows(steps);
      if (!synonymCost.allows(steps)) continue;
      synonymCost.spend(steps);
      const documents = Math.max(least, postings.documents(term));
      counted.push({ term, documents, factor: boost, form: forms.synonymPhrase });
    }
    const word = known ?? statistics.record({ terms: counted, leftOut: 'nothing' });
    if (!isComplete || !isAffordable) this.relaxed.push(`phrase:"${text}"`);
    else if (!isUsed || !hasAll(word, others)) this.relaxed.push(`synonyms:"${text}"`);
    const weighted = this.weighted(word, others.phrases, documents);
    const summed = weighted.filter((each) => each.form !== forms.synonymPhrase).length;
    return { presence, fields, terms: weighted, summed, asked: text };
  }

  private *lunr(text: string): Steps<ExpandedQuery> {
    const { index, cost } = this.parts;
    const parsed = parseLunr(text, index.fieldNames, index.lexicon);
    const isBrowse = parsed.length > 0 && parsed.every(({ presence }) => presence === 'prohibited');
    if (isBrowse) cost.spend(index.size * POSTING_STEPS);
    const clauses: ExpandedClause[] = [];
    for (const clause of parsed) clauses.push(yield* this.lunrClause(clause));
    return { clauses, minimum: isBrowse ? 0 : 1, isBrowse, relaxed: this.relaxed, isMinimumRelaxed: false };
  }

  private *lunrClause({ match, presence, boost, fields: all }: Clause): Steps<ExpandedClause> {
    const { statistics } = this.parts;
    const fields = this.fieldsOf(all);
    const known = statistics.next();
    if (match.kind === 'phrase') {
      return yield* this.phrase(
        { text: match.text, synonyms: [], hasAllSynonyms: true, presence, boost, fields, form: forms.phraseWord },
        known,
      );
    }
    const asked = nameOf(match);
    const word = known ?? statistics.record(yield* this.findLunr(match, boost, fields));
    if (known !== undefined) for (const { term } of known.terms) this.parts.cost.spend(this.costOf(term, fields));
    if (word.leftOut !== 'nothing') this.relaxed.push(`expansions:${asked}`);
    const terms = this.weighted(word);
    return { presence, fields, terms, summed: terms.length, asked };
  }

  private *findLunr(
    match: Exclude<Match, { kind: 'phrase' }>,
    factor: number,
    fields: readonly number[] | undefined,
  ): Steps<CountedWord> {
    const { index, cost } = this.parts;
    const { lexicon, postings } = index;
    const found = nothingFound();
    for (const name of match.kind === 'wildcard' ? [] : match.terms) {
      const term = lexicon.terms.find(name);
      if (term < 0 || found.forms.has(term)) continue;
      cost.spend(this.costOf(term, fields));
      found.forms.set(term, forms.word);
    }
    let isComplete = true;
    if (match.kind === 'wildcard') {
      isComplete = yield* this.add(wildcardPattern(match.pattern, lexicon), forms.wildcard, fields, found);
    } else if (match.kind === 'fuzzy') {
      isComplete = yield* this.add(fuzzyPattern(match.word, match.distance, lexicon), forms.fuzzy, fields, found);
    }
    const terms = [...found.forms].map(([term, form]) => ({
      ...{ term, form, factor },
      documents: postings.documents(term),
    }));
    return { terms, leftOut: isComplete ? 'nothing' : 'terms' };
  }

  /** `phrases`: the documents of terms that stand for a synonym of several words; `only`: those of all others. */
  private weighted(
    { terms }: CountedWord,
    phrases: FoundSynonyms['phrases'] = new Map(),
    only?: Uint32Array,
  ): ExpandedClause['terms'] {
    const { statistics, saturation } = this.parts;
    return terms.map(({ term, documents, factor, form }) => {
      const weight = factor * statistics.idf(documents);
      const counting = form === forms.synonymPhrase ? (phrases.get(term) ?? new Uint32Array(0)) : only;
      return { term, weight, base: weight * saturation * form.level, form, only: counting };
    });
  }

  /** Undefined: all. */
  private fieldsOf(fields: readonly number[]): readonly number[] | undefined {
    return fields.length === this.parts.index.fieldNames.length ? undefined : fields;
  }

  /** Steps of reading a term's postings, in all fields or in some. */
  private costOf(term: number, fields: readonly number[] | undefined): number {
    if (term < 0) return 0;
    const { index } = this.parts;
    const documents = index.postings.documents(term);
    return documents * POSTING_STEPS + (fields === undefined ? index.several(term) : documents) * SEVERAL_FIELDS_STEPS;
  }
}

function prefixesOf({ kind }: PlainPart, isLast: boolean): number {
  if (kind === 'prefix') return EXPANSION_LIMIT_WORDS;
  return isLast ? TYPING_LIMIT_WORDS : 0;
}

function presenceOf({ isExcluded, kind }: PlainPart, matching: TextQuery['matching'], isCounted: boolean): Presence {
  if (isExcluded) return 'prohibited';
  if (matching === 'any') return 'optional';
  if (kind === 'phrase') return 'required';
  return matching === 'all' && isCounted ? 'required' : 'optional';
}

/** Whether a word may be misspelt: numbers and codes mean what they say. */
function isSpelling(word: string): boolean {
  return !/[\p{N}_]/u.test(word);
}

function nameOf(match: Exclude<Match, { kind: 'phrase' }>): string {
  if (match.kind === 'wildcard') return match.pattern;
  return match.kind === 'fuzzy' ? `${match.word}~${match.distance}` : match.word;
}
