import type { Dispatcher, Pool } from 'undici';

/** Asks, takes the whole answer and returns its status; 0 where there was none. A 4xx is a mistake of the benchmark: thrown. */
export async function statusOf(pool: Pool, request: Dispatcher.RequestOptions): Promise<number> {
  let answer: Dispatcher.ResponseData;
  let text: string;
  try {
    answer = await pool.request(request);
    text = await answer.body.text();
  } catch {
    return 0;
  }
  const { statusCode } = answer;
  if (statusCode >= 400 && statusCode < 500) throw new Error(`${request.path} answered ${statusCode}: ${text}`);
  return statusCode;
}
