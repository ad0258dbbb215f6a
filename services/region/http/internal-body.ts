/** Bodies of internal requests. */
import type { Context } from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import { decodeText, readBody, requireType } from '../../../shared/http/http-body.ts';
import { parseJson } from '../../../shared/http/json-text.ts';
import type { Turns } from '../../../shared/kernel/turns.ts';

/** A body before validation: no field has its declared type for certain. */
export type Fields<T> = { readonly [K in keyof T]?: unknown };

/** Resolves to the fields of a JSON object; throws a `Refusal` for anything else. `reserve` learns the length before it is read. */
export type ReadFields = <T>(ctx: Context, reserve?: (bytes: number) => void) => Promise<Fields<T>>;

export function fieldsReader(maxBodyBytes: number, turns?: Turns): ReadFields {
  return async (ctx, reserve) => {
    requireType(ctx, ['application/json']);
    const body = await readBody(ctx, maxBodyBytes, reserve);
    // Those of writes are the only large ones.
    turns?.mark('write');
    const value = parseJson(decodeText(body), '', { inexact: 'allowed' });
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid('the body must be a JSON object');
    }
    return value;
  };
}

export function invalid(detail: string): Refusal {
  return new Refusal('invalid_request', detail);
}
