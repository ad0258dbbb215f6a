/**
 * A time as clients write it: an RFC 3339 time or integer milliseconds since 1970. The only parser of times, so that every field
 * accepts the same ones.
 *
 * A number is a time in milliseconds from the year 2000 to the year 9999. Seconds of any year before 31,969 are below that range
 * and microseconds of any year after 1978 above it, so a wrong unit is refused instead of counted in 1970. An RFC 3339 time names
 * its year and may be before 2000, down to 1970; nonexistent days and hours are refused, not moved to the next day, and so are
 * leap seconds, which milliseconds since 1970 cannot represent.
 */

/** The last time of a date: ECMAScript's limit, in the year 275760. */
export const LAST_TIMESTAMP_MS = 8_640_000_000_000_000;
/** 2000-01-01T00:00:00Z. */
export const FIRST_NUMBER_MS = 946_684_800_000;
/** 9999-12-31T23:59:59.999Z. */
export const LAST_NUMBER_MS = 253_402_300_799_999;

const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const MINUTE_MS = 60_000;
/** 400 years. */
const CALENDAR_MS = 146_097 * 86_400_000;

/** Epoch ms, or what is wrong with it, as the rest of a sentence: "must be …". */
export function timestampOf(value: unknown): number | string {
  if (typeof value === 'number') return momentOfNumber(value);
  const timeMs = typeof value === 'string' ? timeOfText(value) : undefined;
  if (timeMs === undefined) return 'must be an RFC 3339 time or integer milliseconds since 1970';
  return timeMs >= 0 ? timeMs : 'must be a time from 1970 on: an RFC 3339 time or integer milliseconds since 1970';
}

/**
 * The same as {@link timestampOf} for a query parameter: digits are a number, and a `+` that was not percent-encoded arrives as a
 * space.
 */
export function timestampOfParameter(text: string): number | string {
  if (/^\d{1,16}$/.test(text)) return momentOfNumber(Number(text));
  return timestampOf(text.replace(/ (?=\d{2}:\d{2}$)/, (space, at: number) => (at > 10 ? '+' : space)));
}

function momentOfNumber(value: number): number | string {
  if (Number.isInteger(value) && value >= FIRST_NUMBER_MS && value <= LAST_NUMBER_MS) return value;
  const unit =
    value >= 0 && value < FIRST_NUMBER_MS
      ? '; this is less, as seconds are'
      : value > LAST_NUMBER_MS
        ? '; this is more, as microseconds are'
        : '';
  return `must be integer milliseconds since 1970, from the year 2000 to 9999${unit}; an RFC 3339 time may name an earlier year`;
}

/** Epoch ms of an RFC 3339 time; undefined if it is none, or does not exist. Digits beyond the milliseconds are ignored. */
export function timeOfText(text: string): number | undefined {
  const match = rfc3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined;
  const fractionMs = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  // `Date.UTC` takes the years 0 to 99 for 1900 to 1999; the calendar repeats after 400 years.
  const localMs = Date.UTC(year + 400, month - 1, day, hour, minute, second, fractionMs) - CALENDAR_MS;
  return localMs - (match[8] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute) * MINUTE_MS;
}

function daysOf(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : monthDays[month - 1]!;
}
