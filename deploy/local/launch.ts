/**
 * The whole cluster as processes of this machine: nats-server, then the regions, then the router; stopped in reverse order, so
 * that no process loses one that it depends on.
 *
 * What a crash leaves: the children of a killed launcher end (they watch its pipe); a killed child is started again. Everything
 * durable is in the data folder, and the next launch continues from it.
 */

import { rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makePrivateDirectory } from '../../shared/config/make-directory.ts';
import { messageOf } from '../../shared/errors/errors.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import { childEnvironmentOf, type Environment, natsEnvironmentOf } from './child-environment.ts';
import type { LauncherConfig } from './launcher-config.ts';
import { natsConfig } from './nats-config.ts';
import { launcherUser, type NatsUser, regionUser, routerUser } from './nats-users.ts';
import { addressText, type Plan, urlOf } from './plan.ts';
import { prepareStream } from './prepare-stream.ts';
import { ProcessRequests } from './process-requests.ts';
import type { NatsBinary } from './provision-nats.ts';
import { newSecret } from './secrets.ts';
import { showLogLine } from './show.ts';
import { Child } from './supervise.ts';

/** The built programs, absolute paths. */
export interface Programs {
  readonly natsGuard: string;
  readonly region: string;
  readonly router: string;
  /** More variables of the environment that regions and router read. */
  readonly environment?: readonly string[];
}

export interface LaunchOptions {
  readonly programs: Programs;
  readonly config: LauncherConfig;
  readonly plan: Plan;
  readonly nats: NatsBinary;
  /** A part of the launcher's command line. */
  readonly marker: string;
  /** What makes regions and router processes of one cluster, unless the launcher's own environment does. */
  readonly secret: Environment;
  readonly clock: Clock;
  /** One line of the process `name`. */
  readonly say: (name: string, text: string) => void;
}

/** Longer than the services' own limit of 15 s. */
const stopLimitMs = 17_000;
/** How long a start waits for a leader that accepts writes before it reports that the processes are up. */
const SERVING_LIMIT_MS = 15_000;
const SERVING_PAUSE_MS = 200;

export class Cluster {
  private readonly options: LaunchOptions;
  private readonly nats: Child;
  private readonly regions: readonly Child[];
  private readonly router: Child;
  /** New at every start, as the server's configuration file is. */
  private readonly users: readonly NatsUser[];
  private readonly ending = new AbortController();
  private readonly requests: ProcessRequests;
  private stopped: Promise<void> | undefined;

  constructor(options: LaunchOptions) {
    this.options = options;
    const { programs, config, plan, nats, secret, marker } = options;
    const router = routerUser(newSecret());
    const users = new Map(plan.regions.map(({ name }) => [name, regionUser(name, newSecret())]));
    this.users = [launcherUser(newSecret()), router, ...users.values()];
    const environmentOf = (program: 'region' | 'router', { user, password }: NatsUser): Environment =>
      childEnvironmentOf(program, config.environment, {
        names: programs.environment ?? [],
        given: {
          ...secret,
          ...{
            NATS_USER: user,
            NATS_PASSWORD: password,
            NATS_PASSWORD_FILE: '',
            NATS_NKEY_SEED_FILE: '',
            NATS_CREDS_FILE: '',
          },
          // Everything but the public surface is on loopback.
          ...{ NATS_CA_FILE: '', NATS_CERT_FILE: '', NATS_KEY_FILE: '' },
          ...{ TIDAL_TLS_CERT_FILE: '', TIDAL_TLS_KEY_FILE: '', TIDAL_TLS_CA_FILE: '' },
        },
      });
    const shared = ['--nats', plan.nats.url, '--topology', plan.topologyFile];
    this.nats = this.child('nats', natsEnvironmentOf(config.environment), [
      programs.natsGuard,
      nats.path,
      plan.nats.configFile,
      plan.nats.pidFile,
      plan.nats.url,
    ]);
    this.regions = plan.regions.map(({ name, listen, dataDir }) =>
      this.child(name, environmentOf('region', users.get(name)!), [
        programs.region,
        ...['--region', name, '--listen', addressText(listen), '--data-dir', dataDir, '--schema', config.schemaFile],
        ...shared,
      ]),
    );
    // The secret of TIDAL_API_KEY is in its environment: a command line can be read by other users.
    const access = [
      ...(config.apiKeysFile === undefined ? [] : ['--api-keys-file', config.apiKeysFile]),
      ...(config.metricsAccess === 'open' ? ['--metrics-access', 'open'] : []),
      ...(config.insecure ? ['--insecure'] : []),
    ];
    this.router = this.child('router', environmentOf('router', router), [
      programs.router,
      ...['--listen', addressText(plan.router)],
      ...access,
      ...shared,
    ]);
    this.requests = new ProcessRequests({
      children: new Map([
        ...plan.regions.map(({ name }, index) => [name, this.regions[index]!] as const),
        ['router', this.router],
        ['nats', this.nats],
      ]),
      ...{ dataDir: config.dataDir, marker, url: urlOf(plan.router), storeDir: plan.nats.storeDir },
      ...{ clock: options.clock, say: options.say },
    });
  }

  /** Resolves true when every process listens and writes are accepted; false if one never can, or after `stop`. */
  async start(): Promise<boolean> {
    const { plan, nats } = this.options;
    for (const { dataDir } of plan.regions) makePrivateDirectory(dataDir);
    makePrivateDirectory(dirname(plan.nats.configFile));
    writeFileSync(plan.topologyFile, plan.topologyText);
    // An earlier version's file may be readable by others.
    rmSync(plan.nats.configFile, { force: true });
    writeFileSync(plan.nats.configFile, natsConfig({ ...plan.nats, syncAlways: nats.syncAlways, users: this.users }), {
      mode: 0o600,
    });
    if (!(await this.nats.start())) return false;
    await this.prepareStream();
    if (this.stopped !== undefined || !(await allOrFirstFailure(this.regions.map((region) => region.start()))))
      return false;
    if (this.stopped !== undefined || !(await this.router.start())) return false;
    await this.serving();
    if (this.stopped === undefined) this.requests.start();
    return this.stopped === undefined;
  }

  /** A stream with other settings works: regions report them. */
  private async prepareStream(): Promise<void> {
    const { plan, clock, config, say } = this.options;
    const [user] = this.users;
    try {
      await prepareStream({
        ...{ url: plan.nats.url, access: { identity: user! }, clock, ending: this.ending.signal },
        environment: config.environment,
      });
    } catch (error) {
      say('launcher', `the stream's settings could not be checked: ${messageOf(error)}`);
    }
  }

  /** Waits until the router reports that writes are accepted: the leader has to read its record first. */
  private async serving(): Promise<void> {
    const { clock, plan } = this.options;
    for (const startMs = clock.monotonicMs(); clock.monotonicMs() - startMs < SERVING_LIMIT_MS; ) {
      if (this.stopped !== undefined) return;
      // Only writes matter for the start; `/health` reports other problems.
      const health = await fetch(`${urlOf(plan.router)}/health`).catch(() => undefined);
      if (health?.status !== 503) return;
      await sleep(clock, SERVING_PAUSE_MS);
    }
  }

  /** Router, regions, nats-server, each with a bounded wait. Idempotent. */
  stop(): Promise<void> {
    this.ending.abort();
    this.stopped ??= (async () => {
      await this.requests.stop();
      await this.router.stop();
      await Promise.all(this.regions.map((region) => region.stop()));
      await this.nats.stop();
    })();
    return this.stopped;
  }

  /** Ends without further waiting. */
  hurry(): void {
    for (const child of [this.router, ...this.regions, this.nats]) child.hurry();
  }

  /** The message when everything is up. */
  get greeting(): string {
    const { plan, config } = this.options;
    const url = urlOf(plan.router);
    const open = config.apiKey === undefined && config.apiKeysFile === undefined;
    const curl = open ? 'curl' : 'curl -H "Authorization: Bearer $TIDAL_API_KEY"';
    return [
      `cluster ready: ${url}`,
      `  ${curl} ${url}/cluster/status`,
      `  ${curl} "${url}/feed?profile=trending&limit=10"`,
    ].join('\n');
  }

  private child(name: string, environment: Environment, args: readonly string[]): Child {
    const { config, clock, say } = this.options;
    return new Child({
      name,
      command: process.execPath,
      args,
      environment,
      clock,
      stopLimitMs,
      onLine: (line) => {
        const { text, always } = showLogLine(line);
        if (always || config.verbose) say(name, text);
      },
      onEvent: (text) => say(name, text),
    });
  }
}

/** False at the first failure: the others may retry without end. */
function allOrFirstFailure(starts: readonly Promise<boolean>[]): Promise<boolean> {
  return new Promise((resolve, reject) => {
    for (const start of starts) start.then((up) => up || resolve(false), reject);
    Promise.all(starts).then((all) => resolve(all.every(Boolean)), reject);
  });
}
