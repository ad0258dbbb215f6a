/** Where the processes of a cluster are, for drills that stop them: a launcher on this machine, `docker compose`, or unknown. */
import { resolve } from 'node:path';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { systemClock as clock } from '../../../shared/kernel/system.ts';
import { ComposeProcesses, docker } from '../../drill/compose-processes.ts';
import { LocalProcesses, launcherAt } from '../../drill/local-processes.ts';
import type { Processes } from '../../drill/surface.ts';

export const targets = ['http', 'local', 'compose'] as const;
export type Target = (typeof targets)[number];

export const targetOptions = { target: { type: 'string' }, 'data-dir': { type: 'string' } } as const;

export const targetHelp = `
  --target    where its processes are. local: npm start on this machine. compose: docker compose here (COMPOSE_FILE,
              COMPOSE_PROJECT_NAME). http: nowhere, the routers alone. Default: local if npm start serves --url, else http
  --data-dir  of npm start, default TIDAL_DATA_DIR, then .tidal`;

export interface Targeted {
  readonly target: Target;
  readonly processes: Processes | undefined;
}

/** Throws `ConfigError`. */
export function targetOf(text: (name: string) => string | undefined, urls: readonly string[]): Targeted {
  const given = text('target');
  if (given !== undefined && !(targets as readonly string[]).includes(given))
    throw new ConfigError(`--target must be one of ${targets.join(', ')}, not "${given}"`);
  const dataDir = resolve(text('data-dir') ?? process.env.TIDAL_DATA_DIR ?? '.tidal');
  if (given === 'http') return { target: given, processes: undefined };
  if (given === 'compose') return { target: given, processes: new ComposeProcesses({ clock, docker }) };
  const launcher = launcherAt(dataDir);
  const serves = launcher !== undefined && urls.some((url) => isSame(launcher.url, url));
  if (serves) return { target: 'local', processes: new LocalProcesses({ dataDir, clock }) };
  if (given === undefined) return { target: 'http', processes: undefined };
  const why =
    launcher === undefined
      ? 'no cluster of npm start runs there'
      : `the cluster there serves ${launcher.url}, not ${urls.join(', ')}`;
  throw new ConfigError(`--target local, --data-dir ${dataDir}: ${why}`);
}

/** Whether two URLs lead to one port of this machine. */
function isSame(one: string, other: string): boolean {
  const [a, b] = [new URL(one), new URL(other)];
  const isLoopback = ({ hostname }: URL): boolean => ['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
  return a.port === b.port && (a.hostname === b.hostname || (isLoopback(a) && isLoopback(b)));
}
