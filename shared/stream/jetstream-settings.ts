/**
 * The settings of stream and bucket on the server, compared with the table in `settings.ts` and restored. Every client of the
 * server can change them; some changes cannot be reverted.
 */
import { type ApiError, errorCodes, faultOfApiError } from './jetstream-errors.ts';
import type { Link } from './jetstream-link.ts';
import { absentSettings } from './settings.ts';
import type { SettingsDifference } from './stream.ts';

type Configuration = Readonly<Record<string, unknown>>;

/** The settings of one stream of the server. Nothing differs if there is no such stream; it is created on demand. */
export async function checkSettings(
  link: Link,
  wanted: Configuration,
  mend: boolean,
): Promise<readonly SettingsDifference[]> {
  const name = String(wanted.name);
  const found = await differences(link, name, wanted);
  if (found.length === 0 || !mend) return found.map((what) => ({ what, outcome: 'left' }));
  const { error } = await link.api(`STREAM.UPDATE.${name}`, wanted);
  const left = new Set(await differences(link, name, wanted));
  const why = error === undefined ? 'the server took the update and kept the setting' : reasonOf(error);
  return found.map((what) => (left.has(what) ? { what, outcome: 'stuck', why } : { what, outcome: 'mended' }));
}

/** Of the stream: each region needs one, and one that a subscription before it left behind. */
const CONSUMERS_LIMIT = 100;

/** Whether other clients subscribe to the stream in numbers: every consumer slows its broker down. It cannot be prevented from here. */
export async function checkConsumers(link: Link, name: string): Promise<readonly SettingsDifference[]> {
  const { error, state } = await link.api(`STREAM.INFO.${name}`);
  if (error?.err_code === errorCodes.streamNotFound) return [];
  if (error !== undefined) throw faultOfApiError(error, 'info');
  const { consumer_count: count = 0 } = (state ?? {}) as { readonly consumer_count?: number };
  if (count <= CONSUMERS_LIMIT) return [];
  // Without the number, so that it is one finding while it lasts.
  const what = `${name} has more than ${CONSUMERS_LIMIT} consumers: other clients subscribe to it, which slows the broker down`;
  return [{ what, outcome: 'left' }];
}

async function differences(link: Link, name: string, wanted: Configuration): Promise<readonly string[]> {
  const { error, config } = await link.api(`STREAM.INFO.${name}`);
  if (error?.err_code === errorCodes.streamNotFound) return [];
  if (error !== undefined) throw faultOfApiError(error, 'info');
  const actual = config as Configuration;
  const changed = Object.keys(wanted)
    .filter((key) => textOf(actual[key]) !== textOf(wanted[key]))
    .map((key) => `${key} of ${name} is ${shown(actual[key])}, not ${shown(wanted[key])}`);
  const added = absentSettings
    .filter((key) => textOf(actual[key]) !== textOf(undefined))
    .map((key) => `${name} has a ${key}`);
  return [...changed, ...added];
}

/** The server omits values that are 0 or false. */
function textOf(value: unknown): string {
  if (value === undefined || value === null || value === false || value === 0) return 'unset';
  return Array.isArray(value) && value.length === 0 ? 'unset' : JSON.stringify(value);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'unset').slice(0, 100);
}

function reasonOf({ description, err_code: code }: ApiError): string {
  return `${description ?? 'no reason given'} (${code ?? 'no code'})`;
}
