/** Requests to the router that served the page, with the key of this tab. */

const KEY = 'tidal-key';

/** @returns {string | null} */
export function storedKey() {
  return sessionStorage.getItem(KEY);
}

/** @param {string | null} key */
export function storeKey(key) {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/** A refusal (problem details), or no answer at all. */
export class AskError extends Error {
  /**
   * @param {number} status 0: no answer.
   * @param {{ readonly title?: string, readonly detail?: string, readonly hint?: string, readonly code?: string }} problem
   */
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.title = problem.title ?? 'No answer';
    this.hint = problem.hint;
    this.code = problem.code;
  }

  /** All of it, in one line. */
  get sentence() {
    const parts = [this.title, this.message, this.hint].filter((part) => part !== undefined && part !== '');
    return `${[...new Set(parts)].join('. ')}.`.replace(/\.\.$/, '.');
  }
}

/**
 * The answer, whatever its status; throws an `AskError` if there is none.
 *
 * @param {string} path
 * @param {RequestInit & { readonly headers?: Record<string, string> }} [init]
 */
export async function send(path, init = {}) {
  const key = storedKey();
  const headers = { ...init.headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) };
  try {
    return await fetch(path, { cache: 'no-store', credentials: 'omit', redirect: 'error', ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new AskError(0, { title: 'No answer', detail: 'the router cannot be reached' });
  }
}

/**
 * @param {Response} response
 * @returns {Promise<AskError>}
 */
export async function problemOf(response) {
  const text = await response.text();
  try {
    return new AskError(response.status, JSON.parse(text));
  } catch {
    return new AskError(response.status, { title: `Status ${response.status}` });
  }
}

/**
 * The answer's value; throws an `AskError` otherwise.
 *
 * @param {string} path
 * @param {object} [body] It is posted.
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  const posted =
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await send(path, posted);
  if (!response.ok) throw await problemOf(response);
  return response.json();
}
