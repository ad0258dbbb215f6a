/** From the flags to an exit code: check, provision, run the cluster until a signal, stop it in order. */

import { loadSchema } from '../../services/region/schema/parse-schema.ts';
import { makePrivateDirectory } from '../../shared/config/make-directory.ts';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { Fault } from '../../shared/errors/errors.ts';
import { onEndAsked } from '../../shared/kernel/ending.ts';
import { systemClock as clock } from '../../shared/kernel/system.ts';
import { loadTopology } from '../../shared/topology/parse-topology.ts';
import type { Topology } from '../../shared/topology/topology.ts';
import { Cluster, type Programs } from './launch.ts';
import { type LauncherConfig, loadLauncherConfig } from './launcher-config.ts';
import { lockDataDir } from './lock.ts';
import { natsSources } from './nats-sources/sources.ts';
import { machineTools, versionOf } from './nats-sources/tools.ts';
import { endLeftover, endOrphans } from './own-process.ts';
import { planCluster } from './plan.ts';
import { waitForPorts } from './ports.ts';
import { stateIn } from './process-requests.ts';
import { provisionNats } from './provision-nats.ts';
import { keepInternalSecret } from './secrets.ts';

/** Maximum time until children of a killed launcher have released their ports. */
const leaveLimitMs = 17_000;

export interface LauncherOptions {
  readonly programs: Programs;
  /** A part of the command line that only this program has, to recognise a running launcher by its process id. */
  readonly marker: string;
}

/** Both files are read before anything starts, and all their mistakes are reported at once. */
function readFiles({ topologyFile, schemaFile }: LauncherConfig): Topology {
  const wrong: string[] = [];
  const read = <T>(load: () => T): T | undefined => {
    try {
      return load();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      wrong.push(error.message);
      return undefined;
    }
  };
  const topology = read(() => loadTopology(topologyFile));
  read(() => loadSchema(schemaFile));
  if (topology === undefined || wrong.length > 0) throw new ConfigError(wrong.join('\n'));
  return topology;
}

/** The exit code. Throws `ConfigError` and `Fault` for problems that the operator can fix. */
async function run(config: LauncherConfig, { programs, marker }: LauncherOptions): Promise<number> {
  const topology = readFiles(config);
  const plan = planCluster(config, topology);
  const width = Math.max(8, ...topology.regions.map(({ name }) => name.length));
  const say = (name: string, text: string): void => console.log(`${name.padEnd(width)}  ${text}`);

  let cluster: Cluster | undefined;
  let endings = 0;
  const asked = new Promise<void>((resolve) => {
    onEndAsked((cause) => {
      endings += 1;
      if (endings === 1) say('launcher', `shutdown signal received (${cause})`);
      else cluster?.hurry();
      // Nothing runs yet that would need an orderly stop.
      if (cluster === undefined) process.exit(0);
      resolve();
    });
  });

  makePrivateDirectory(config.dataDir);
  const lock = lockDataDir({ dataDir: config.dataDir, marker });
  process.on('exit', () => lock.release());
  if (lock.takenOver) {
    say('launcher', 'the launcher before this one did not end in order; its processes may need a moment to leave');
    const pids = stateIn(config.dataDir)?.pids ?? {};
    const ended = await endOrphans({ pids, marker: config.dataDir, clock, limitMs: leaveLimitMs });
    if (ended.length > 0) say('launcher', `ended its ${ended.join(', ')}`);
    if (await endLeftover(plan.nats.pidFile, plan.nats.configFile, clock)) say('launcher', 'ended its nats-server');
  }
  const taken = await waitForPorts(plan, clock, lock.takenOver ? leaveLimitMs : 0);
  if (taken.length > 0) throw new ConfigError(taken.map(({ text }) => `cluster: ${text}`).join('\n'));

  const tools = machineTools(clock);
  const nats = await provisionNats({
    sources: natsSources({
      tools,
      cacheDir: plan.nats.cacheDir,
      ...(config.natsServer === undefined ? {} : { natsServer: config.natsServer }),
    }),
    version: (path) => versionOf(tools, path),
    say: (line) => say('nats', line),
  });

  const { TIDAL_INTERNAL_SECRET: text = '', TIDAL_INTERNAL_SECRET_FILE: file = '' } = config.environment;
  const secret = text === '' && file === '' ? { TIDAL_INTERNAL_SECRET_FILE: keepInternalSecret(config.dataDir) } : {};
  cluster = new Cluster({ programs, marker, config, plan, nats, secret, clock, say });
  const up = await Promise.race([cluster.start(), asked.then(() => undefined)]);
  if (up === true) console.log(cluster.greeting);
  if (up !== false) await asked;
  await cluster.stop();
  say('launcher', 'stopped');
  return up === false ? 1 : 0;
}

/** Exits with 0 after an orderly stop, 2 for an invalid configuration, 1 for a failure. */
export async function launchUntilAsked(options: LauncherOptions): Promise<never> {
  try {
    process.exit(await run(loadLauncherConfig(), options));
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof Fault)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
}
