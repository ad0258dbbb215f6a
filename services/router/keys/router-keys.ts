/** The keys of a router: `TIDAL_API_KEY` and those of the keys file. */
import type { Clock } from '../../../shared/kernel/kernel.ts';
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { digestOf, KeyAccess } from './key-access.ts';
import { type AccessKey, type KeySettings, SINGLE_KEY_NAME, scopes } from './keys.ts';
import { KeysFile } from './keys-file.ts';
import { parseKeys } from './parse-keys.ts';

export interface RouterKeysOptions extends KeySettings {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface RouterKeys {
  readonly access: KeyAccess;
  /** A part of the router. */
  readonly file: KeysFile;
}

/** Throws `ConfigError` if the file cannot be used. */
export function createRouterKeys({ single, source, clock, log, metrics }: RouterKeysOptions): RouterKeys {
  const own: AccessKey[] = single === undefined ? [] : [{ name: SINGLE_KEY_NAME, scopes, digest: digestOf(single) }];
  const named = source === undefined ? [] : parseKeys(source.text, source.path);
  const access = new KeyAccess({ keys: [...own, ...named], clock, metrics });
  const file = new KeysFile({ source, clock, log, metrics, onKeys: (keys) => access.replace([...own, ...keys]) });
  return { access, file };
}
