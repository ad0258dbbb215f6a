/** What the environment may change in `compose.yaml`: its head names all of it, and each is a setting that exists. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { parseRouterConfig } from '../../../services/router/router-config.ts';

const text = readFileSync(new URL('../../../../compose.yaml', import.meta.url), 'utf8');
const [head = '', body = ''] = text.split(/^x-service:/m);

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, string>> }>>;
}

describe('settings of docker compose', () => {
  it('the head of compose.yaml names the variables that it uses, and no others', () => {
    const used = new Set([...body.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name!));
    const named = [...head.matchAll(/^# {3}((?:[A-Z_]+, )*[A-Z_]+) {2,}/gm)].flatMap(([, names]) => names!.split(', '));
    assert.deepEqual([...named].sort(), [...used].sort());
  });

  it('a router there has no limit for one address unless it is given one: its clients have the address of the engine', () => {
    const environment = (parse(text, { merge: true }) as Compose).services.router?.environment ?? {};
    const limitsWith = (given: Readonly<Record<string, string>>) => {
      const limits = Object.entries(environment)
        .filter(([name]) => name.startsWith('TIDAL_MAX_'))
        .map(([name, value]) => [name, value.replace(/\$\{([A-Z_]+):-(.*)\}/, (_, of, or) => given[of] ?? or)]);
      const parsed = parseRouterConfig({ args: [], env: Object.fromEntries(limits) });
      assert.ok('config' in parsed);
      const { maxAddressConnections, httpLimits } = parsed.config;
      return [maxAddressConnections, httpLimits.addressInFlight, httpLimits.addressAnswersBytes];
    };
    assert.deepEqual(limitsWith({}), [0, 0, 0]);
    const given = { TIDAL_MAX_ADDRESS_CONNECTIONS: '100', TIDAL_MAX_ADDRESS_IN_FLIGHT: '50' };
    assert.deepEqual(limitsWith(given).slice(0, 2), [100, 50]);
  });
});
