/** What of DER (X.690) a certificate needs: values are written, none is read. */

const SEQUENCE = 0x30;
const SET = 0x31;
const SHORT_LENGTH = 0x80;
/** The first year that a UTCTime cannot have. */
const GENERALIZED_FROM_YEAR = 2050;

/** One value: its tag, its length, its contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const head = content.length < SHORT_LENGTH ? [content.length] : [SHORT_LENGTH | length.length, ...length];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

export const sequence = (...values: readonly Uint8Array[]): Buffer => der(SEQUENCE, ...values);
export const set = (...values: readonly Uint8Array[]): Buffer => der(SET, ...values);
export const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]));
export const octets = (bytes: Uint8Array): Buffer => der(0x04, bytes);
export const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text));
/** `[n]`, with a value inside. */
export const tagged = (n: number, ...values: readonly Uint8Array[]): Buffer => der(0xa0 | n, ...values);
/** `[n]`, instead of the tag of a value without values inside. */
export const implicit = (n: number, bytes: Uint8Array): Buffer => der(0x80 | n, bytes);

/** Of an integer of 0 or more, most significant byte first. */
export function integer(bytes: Uint8Array): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.from([0]) : Buffer.from(bytes.subarray(start));
  return der(0x02, digits[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

/** `unused`: bits of the last byte that do not count. */
export const bits = (bytes: Uint8Array, unused = 0): Buffer => der(0x03, Buffer.from([unused]), bytes);

/** `2.5.4.3`. */
export function oid(dotted: string): Buffer {
  const [first, second, ...others] = dotted.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const part of others) {
    const digits = [part % 128];
    for (let rest = Math.floor(part / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(128 | (rest % 128));
    bytes.push(...digits);
  }
  return der(0x06, Buffer.from(bytes));
}

/** To the second. */
export function time(ms: number): Buffer {
  const date = new Date(ms);
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  if (date.getUTCFullYear() < GENERALIZED_FROM_YEAR) return der(0x17, Buffer.from(digits.slice(2)));
  return der(0x18, Buffer.from(digits));
}
