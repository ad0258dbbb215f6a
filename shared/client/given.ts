/** What a client may be given: addresses, a key, values of headers. What is refused is not shown, for it may hold a secret. */

/** Of the addresses of routers, as one begins a path behind it; undefined: it is not one. */
export function baseUrlOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, host, username, password, pathname, href } = new URL(text);
  // `?` and `#` with nothing behind them are in `href` only.
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '' || /[?#]/.test(href)) return undefined;
  return `${protocol}//${host}${pathname}`.replace(/\/+$/, '');
}

export const urlRule =
  'an http or https address such as http://127.0.0.1:9500, without a user, a password, a query or a fragment';

/** Whether a header can carry it as a bearer token. */
export function isKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

export const keyRule =
  'visible ASCII characters without spaces; a line break at the end of a file is no part of the key';

export function isHeaderValue(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
