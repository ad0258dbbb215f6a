/** A moment as a query parameter writes it (`at=`). */

/** The last moment a date can name: ECMAScript's limit, in the year 275760. */
export const LAST_MOMENT_MS = 8_640_000_000_000_000;
// A `+` of the offset that was not percent-encoded arrives as a space.
const rfc3339 = /^(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)([Zz]|[+ -]\d{2}:\d{2})$/;

/** Integer milliseconds since 1970 or an RFC 3339 time, as epoch ms; undefined when it is neither, or before 1970. */
export function parseMoment(text: string): number | undefined {
  let timeMs: number;
  if (/^\d{1,16}$/.test(text)) {
    timeMs = Number(text);
  } else {
    const match = rfc3339.exec(text);
    if (match === null) return undefined;
    timeMs = Math.floor(Date.parse(`${match[1]}${match[2]!.replace(' ', '+')}`));
  }
  return timeMs >= 0 && timeMs <= LAST_MOMENT_MS ? timeMs : undefined;
}
