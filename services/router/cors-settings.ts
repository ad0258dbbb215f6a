/** The settings that say which pages of other origins may use the public surface. */
import type { Setting, Values } from '../../shared/config/settings-table.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import type { CorsSettings } from './http/http.ts';

export const corsSettings = {
  corsOrigins: {
    env: 'TIDAL_CORS_ORIGINS',
    flag: 'cors-origins',
    kind: 'text',
    fallback: '',
    fallbackText: 'none',
    why: 'origins whose pages may use the public surface from a browser: https://a.example,https://b.example, or * for every one',
  },
  corsMethods: {
    env: 'TIDAL_CORS_METHODS',
    flag: 'cors-methods',
    kind: 'text',
    fallback: 'GET,HEAD,POST,PATCH,DELETE',
    why: 'methods that these pages may use',
  },
  corsHeaders: {
    env: 'TIDAL_CORS_HEADERS',
    flag: 'cors-headers',
    kind: 'text',
    fallback:
      'Authorization,Content-Type,Content-Encoding,Idempotency-Key,If-None-Match,Prefer,X-Request-Id,X-Tidal-Position',
    why: 'headers that these pages may send',
  },
} as const satisfies Record<string, Setting>;

/** As a configuration has them; absent: no page of another origin. */
export interface CorsConfig {
  readonly cors?: CorsSettings;
}

/** A token of RFC 9110. */
const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Throws `ConfigError` for what is no origin, method or header. */
export function parseCors(program: string, values: Values<typeof corsSettings>): CorsConfig {
  const listOf = (text: string): readonly string[] =>
    text
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
  const tokens = (name: keyof typeof corsSettings): readonly string[] => {
    const list = listOf(values[name]);
    const wrong = list.find((each) => !tokenPattern.test(each));
    if (wrong === undefined) return list;
    throw new ConfigError(`${program}: --${corsSettings[name].flag} must be names between commas, not "${wrong}"`);
  };
  const [methods, headers] = [tokens('corsMethods').map((each) => each.toUpperCase()), tokens('corsHeaders')];
  const origins = listOf(values.corsOrigins);
  if (origins.length === 0) return {};
  if (origins.includes('*')) {
    if (origins.length > 1) throw new ConfigError(`${program}: --cors-origins is either * or a list of origins`);
    return { cors: { origins: '*', methods, headers } };
  }
  for (const origin of origins) {
    if (URL.canParse(origin) && new URL(origin).origin === origin && origin !== 'null') continue;
    throw new ConfigError(
      `${program}: --cors-origins must be origins such as https://example.org or http://localhost:3000, not "${origin}"`,
    );
  }
  return { cors: { origins, methods, headers } };
}
