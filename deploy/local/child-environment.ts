/**
 * The environment of the launcher's children: what they have a use for, by name. The rest of the shell's and npm's, which may hold
 * other programs' secrets, stays with the launcher.
 */
import { regionEnvironment } from '../../services/region/region-config.ts';
import { routerEnvironment } from '../../services/router/router-config.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Of the system and of Node. */
const general: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'TMPDIR', 'TZ', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH'],
  ...['NODE_ENV', 'NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'UV_THREADPOOL_SIZE'],
];

function pick(environment: Environment, names: readonly string[]): Environment {
  return Object.fromEntries(
    names.filter((name) => environment[name] !== undefined).map((name) => [name, environment[name]]),
  );
}

export function natsEnvironmentOf(environment: Environment): Environment {
  return pick(environment, general);
}

/** Of a region or a router: with the variables `names` too, and with what is `given`. */
export function childEnvironmentOf(
  program: 'region' | 'router',
  environment: Environment,
  { names, given }: { readonly names: readonly string[]; readonly given: Environment },
): Environment {
  const settings = program === 'region' ? regionEnvironment : routerEnvironment;
  return { ...pick(environment, [...general, ...settings, ...names]), ...given };
}
