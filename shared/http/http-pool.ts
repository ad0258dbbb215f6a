/**
 * Kept-alive connections to one HTTP server, through which routers and regions call each other. A simulation replaces it by a
 * network of its own; nothing else about the links differs there.
 */
import { Pool } from 'undici';

export interface HttpCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Ends the call; the pool itself has no time limits but the one to connect. */
  readonly signal: AbortSignal;
}

export interface HttpReply {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: { arrayBuffer(): Promise<ArrayBuffer> };
}

export interface HttpPool {
  /** Throws undici's errors: their `code` distinguishes a failed connection from a missing answer. */
  request(call: HttpCall): Promise<HttpReply>;
  /** Lets requests in flight finish. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export interface HttpPoolOptions {
  readonly url: string;
  readonly connections: number;
  readonly connectMs: number;
  readonly answerLimitBytes?: number;
}

export type OpenHttpPool = (options: HttpPoolOptions) => HttpPool;

export const openHttpPool: OpenHttpPool = ({ url, connections, connectMs, answerLimitBytes }) =>
  new Pool(url, {
    connections,
    connect: { timeout: connectMs },
    // Below the regions' own keep-alive, so that a request is never sent on a connection that is being closed.
    keepAliveTimeout: 10_000,
    keepAliveMaxTimeout: 20_000,
    // Every request has its own limit.
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(answerLimitBytes === undefined ? {} : { maxResponseSize: answerLimitBytes }),
  });
