/**
 * Translates errors of the server and the library at the edge. JetStream's errors are distinguished by `err_code` only: `code`
 * 503, for one, is "no responders" as well as "maximum bytes exceeded".
 */
import { Fault, messageOf } from '../errors/errors.ts';

/** The `err_code`s this system acts on. */
export const errorCodes = {
  consumerNotFound: 10014,
  messageNotFound: 10037,
  /** A stream of this name exists with another configuration. */
  streamConfigDiffers: 10058,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
} as const;

/** `error` of a JetStream API answer or of a publish acknowledgement. */
export interface ApiError {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** The fault for a JetStream error. */
export function faultOfApiError(error: ApiError, what: string): Fault {
  const text = `${what}: ${error.description ?? 'no description'} (${error.err_code ?? error.code ?? 'no code'})`;
  return new Fault(error.err_code === errorCodes.streamNotFound ? 'stream_missing' : 'stream_error', text);
}

/** The fault of a request without a JetStream answer: disconnected, timed out, no responders. */
export function faultOfTimeout(error: unknown, what: string): Fault {
  if (error instanceof Fault) return error;
  return new Fault('stream_unavailable', `${what}: ${textOf(error)}`, { cause: error });
}

/** `err_code` of an error of the library, if it has one. */
export function errorCodeOf(error: unknown): number | undefined {
  const { api_error } = (error ?? {}) as { api_error?: ApiError };
  return api_error?.err_code;
}

function textOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code === '503') return 'nobody answers (no JetStream, or no such stream)';
  if (code === 'TIMEOUT') return 'no answer in time';
  return messageOf(error);
}
