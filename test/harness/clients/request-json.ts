/** One HTTP request with a bound; JSON answers parsed, whatever their status. */
import { type Dispatcher, fetch as secureFetch } from 'undici';

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** `through`: whose connections are used, where they are TLS. */
export async function requestJson<T>(url: string, init: RequestInit = {}, through?: Dispatcher): Promise<Answer<T>> {
  const signal = AbortSignal.timeout(20_000);
  const response =
    through === undefined
      ? await fetch(url, { ...init, signal })
      : await secureFetch(url, { ...(init as object), dispatcher: through, signal });
  const text = await response.text();
  const json = (response.headers.get('content-type') ?? '').includes('json');
  return { status: response.status, headers: response.headers as Headers, body: (json ? JSON.parse(text) : text) as T };
}
