import { Refusal } from '../../../shared/errors/errors.ts';

/** The refusal of a parameter; `message` is the rest of a sentence that begins with its name. */
export function invalid(parameter: string, message: string, hint?: string): Refusal {
  return new Refusal('invalid_request', `${parameter} ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    errors: [{ path: parameter, message }],
  });
}
