/** How long a region takes from the start of its process until it answers each kind of read. */
import { setTimeout as pause } from 'node:timers/promises';
import { internalHeaders } from '../../harness/clients/internal.ts';
import { requestJson } from '../../harness/clients/request-json.ts';

const POLL_MS = 5;

/** ms from the start. */
export interface ServingTimes {
  readonly readyMs: number;
  readonly feedMs: number;
  readonly searchMs: number;
  /** A filter, `max_per`, a text and a suggestion have been answered as well. */
  readonly allMs: number;
}

/** `url`: of a region that listens; `startMs`: when its process was started, of `performance.now()`. */
export async function untilServing(
  url: string,
  startMs: number,
  onReady: () => void = () => {},
): Promise<ServingTimes> {
  const answered = async (...paths: readonly string[]): Promise<number> => {
    for (const path of paths) {
      let answer = await requestJson(url + path, { headers: internalHeaders });
      while (answer.status === 503) {
        await pause(POLL_MS);
        answer = await requestJson(url + path, { headers: internalHeaders });
      }
      if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    return performance.now() - startMs;
  };
  const readyMs = await answered('/health/ready');
  onReady();
  const feedMs = await answered('/feed?profile=trending&limit=10');
  const searchMs = await answered('/search?query=title%3Aba*&limit=10');
  const allMs = await answered(
    '/feed?profile=trending&limit=10&filter=category%3Amusic&max_per=category%3A2',
    '/search?query=tag&limit=10&filter=year%3E%3D2000',
    '/suggest?prefix=ba',
  );
  return { readyMs, feedMs, searchMs, allMs };
}
