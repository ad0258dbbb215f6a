/** Lists of metadata fields in parameters: `title,"og:type":desc`. */

/** One of the list: a field's name, and what follows it. */
export interface Named {
  readonly name: string;
  readonly isQuoted: boolean;
  readonly suffix: string;
}

/**
 * The fields, which commas separate; a name with signs of its own stands in double quotes, in which \" and \\ are a quote and a
 * backslash. Commas within square brackets belong to a suffix. A text that is returned says what is wrong.
 */
export function readNames(text: string, limit: number): readonly Named[] | string {
  const found: Named[] = [];
  for (let at = 0; at <= text.length; at++) {
    const start = at;
    let name = '';
    const isQuoted = text[at] === '"';
    if (isQuoted) {
      const [whole, inner] = /^"((?:[^"\\]|\\["\\])*)"/.exec(text.slice(at)) ?? [];
      if (whole === undefined) return `has no closing double quote after character ${start + 1}`;
      name = inner!.replace(/\\(.)/g, '$1');
      at += whole.length;
    } else {
      while (at < text.length && !',:["'.includes(text[at]!)) at++;
      name = text.slice(start, at).trim();
    }
    const suffixAt = at;
    for (let depth = 0; at < text.length && (text[at] !== ',' || depth > 0); at++) {
      if (text[at] === '[') depth++;
      if (text[at] === ']') depth--;
    }
    if (name === '') return `has no field at character ${start + 1}: fields are separated by commas`;
    if (found.push({ name, isQuoted, suffix: text.slice(suffixAt, at).trim() }) > limit) {
      return `has more than ${limit} fields`;
    }
  }
  return found;
}
