/** Where in a text the words of a query are. */
import { keyOf, tokensOf } from '../analysis/analysis.ts';

/** In UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The words with a key that `isAsked`, ascending; those that overlap are one. */
export function marksOf(text: string, isAsked: (key: string) => boolean): readonly Span[] {
  const known = new Map<string, boolean>();
  const spans: { start: number; end: number }[] = [];
  for (const token of tokensOf(text)) {
    const key = keyOf(token.text);
    let asked = known.get(key);
    if (asked === undefined) {
      asked = isAsked(key);
      known.set(key, asked);
    }
    if (!asked) continue;
    const last = spans.at(-1);
    if (last !== undefined && token.start < last.end) {
      last.start = Math.min(last.start, token.start);
      last.end = Math.max(last.end, token.end);
    } else spans.push({ start: token.start, end: token.end });
  }
  return spans;
}
