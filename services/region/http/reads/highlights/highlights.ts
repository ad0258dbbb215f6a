/**
 * Highlights: the texts of an item with the words of the query in `<mark>`. Everything else is escaped, so that a highlight may be
 * put into a page as it is, whatever the text holds.
 */
import type { Metadata } from '../../../../../shared/protocol/events.ts';
import { textsOf } from '../../../filter/filter.ts';
import type { Span } from '../../../state/text/marks/marks.ts';

/** A longer text is read so far. */
export const HIGHLIGHT_LIMIT_CHARACTERS = 10_000;
/** Texts of a list that are read. */
const LIST_LIMIT = 100;

export type Highlights = Readonly<Record<string, string | readonly string[]>>;

export interface HighlightOptions {
  readonly fields: readonly string[];
  /** Characters of the text that are shown, about. */
  readonly snippetLength: number;
  /** The words of the query in a text of the field. */
  readonly marks: (field: string, text: string) => readonly Span[];
}

/** Of the fields that have a word of the query. Of a list those of its texts that have one. */
export function highlightsOf(metadata: Metadata, { fields, snippetLength, marks }: HighlightOptions): Highlights {
  const shown: [field: string, highlight: string | string[]][] = [];
  for (const field of fields) {
    const value = Object.hasOwn(metadata, field) ? metadata[field]! : '';
    const found = textsOf(value)
      .slice(0, LIST_LIMIT)
      .flatMap((whole) => {
        const text = whole.slice(0, HIGHLIGHT_LIMIT_CHARACTERS);
        const spans = marks(field, text);
        return spans.length === 0 ? [] : [snippet(whole, spans, snippetLength)];
      });
    if (found.length > 0) shown.push([field, typeof value === 'object' ? found : found[0]!]);
  }
  return Object.fromEntries(shown);
}

/** The part of the text with the most of the spans, which are not empty. */
function snippet(text: string, spans: readonly Span[], length: number): string {
  const { start, end } = text.length <= length ? { start: 0, end: text.length } : bestPart(text, spans, length);
  let html = start > 0 ? '…' : '';
  let at = start;
  for (const span of spans) {
    const from = Math.max(span.start, at);
    const to = Math.min(span.end, end);
    if (from >= to) continue;
    html += `${escaped(text.slice(at, from))}<mark>${escaped(text.slice(from, to))}</mark>`;
    at = to;
  }
  return html + escaped(text.slice(at, end)) + (end < text.length ? '…' : '');
}

function bestPart(text: string, spans: readonly Span[], length: number): Span {
  let first = 0;
  let most = 0;
  for (let from = 0, to = 0; from < spans.length; from++) {
    while (to < spans.length && spans[to]!.end - spans[from]!.start <= length) to++;
    if (to - from <= most) continue;
    most = to - from;
    first = from;
  }
  const last = spans[Math.max(first, first + most - 1)]!;
  const spare = Math.max(0, length - (last.end - spans[first]!.start));
  const start = Math.max(0, Math.min(spans[first]!.start - Math.floor(spare / 2), text.length - length));
  const end = Math.min(text.length, start + length);
  return {
    start: start === 0 ? 0 : wordAfter(text, start, spans[first]!.start),
    end: end === text.length ? end : wordBefore(text, end, Math.min(last.end, end)),
  };
}

/** The first beginning of a word from `at` to `limit`. */
function wordAfter(text: string, at: number, limit: number): number {
  for (let start = at; start < limit; start++) if (/\s/.test(text[start - 1]!)) return start;
  return whole(text, Math.min(at, limit));
}

function wordBefore(text: string, at: number, limit: number): number {
  for (let end = at; end > limit; end--) if (/\s/.test(text[end]!)) return end;
  return whole(text, Math.max(at, limit));
}

/** Not within a pair of surrogates. */
function whole(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => entities[sign]!);
}
