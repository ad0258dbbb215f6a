/** The API keys of the clusters under test, by the address of their routers. */
const keys = new Map<string, string>();

export function useKey(url: string, key: string): void {
  keys.set(new URL(url).host, key);
}

/** None for a cluster without keys. */
export function keyHeaders(url: string): Readonly<Record<string, string>> {
  const key = keys.get(new URL(url).host);
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}
