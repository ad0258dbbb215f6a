/** The cluster of `compose.yaml`, up as a project of its own on free ports; `down` leaves nothing of it behind. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { StartedDockerComposeEnvironment } from 'testcontainers';
import { keyHeaders, useKey } from '../clients/keys.ts';
import { requestJson } from '../clients/request-json.ts';
import { eventually } from '../kernel/eventually.ts';
import type { Answer, ClusterStatus, StatusRegion } from '../processes/cluster.ts';
import { freePort } from '../processes/nats-server.ts';
import { docker, dockerEnded, image, root, uniqueName } from './docker.ts';

export type RegionService = 'us-east' | 'eu-west' | 'ap-south';
export type ComposeService = RegionService | 'nats' | 'router' | 'prometheus';

const regionServices: readonly RegionService[] = ['us-east', 'eu-west', 'ap-south'];

export const composeServices: readonly ComposeService[] = ['nats', ...regionServices, 'router', 'prometheus'];

/** All that serves; without what watches it. */
export const servingServices: readonly ComposeService[] = ['nats', ...regionServices, 'router'];

export class ComposeCluster {
  readonly regionNames: readonly string[] = regionServices;
  readonly url: string;
  readonly prometheusUrl: string;
  private readonly project: string;
  private readonly environment: Readonly<Record<string, string>>;
  private environmentUp: StartedDockerComposeEnvironment | undefined;

  private constructor(project: string, environment: Record<string, string>) {
    this.project = project;
    this.environment = environment;
    this.url = `http://127.0.0.1:${environment.TIDAL_PORT}`;
    useKey(this.url, environment.TIDAL_API_KEY!);
    this.prometheusUrl = `http://127.0.0.1:${environment.PROMETHEUS_PORT}`;
  }

  /**
   * Builds the image if need be and resolves when `services`, and what they depend on, are healthy. `environment`: see
   * `compose.yaml`.
   */
  static async up(
    environment: Readonly<Record<string, string>> = {},
    services: readonly ComposeService[] = composeServices,
  ): Promise<ComposeCluster> {
    // Loaded late, because it reads its environment variables when it is loaded.
    const { DockerComposeEnvironment, Wait } = await import('testcontainers');
    const cluster = new ComposeCluster(uniqueName('compose'), {
      TIDAL_IMAGE: await image(),
      TIDAL_PORT: String(await freePort()),
      PROMETHEUS_PORT: String(await freePort()),
      TIDAL_API_KEY: randomBytes(16).toString('hex'),
      ...environment,
    });
    try {
      cluster.environmentUp = await new DockerComposeEnvironment(root, 'compose.yaml')
        .withProjectName(cluster.project)
        .withEnvironment({ ...cluster.environment })
        .withDefaultWaitStrategy(Wait.forHealthCheck())
        .withStartupTimeout(120_000)
        .withAutoCleanup(false)
        .up([...services]);
    } catch (error) {
      await cluster.down();
      throw error;
    }
    return cluster;
  }

  async down(): Promise<void> {
    // Its data is removed too, so no orderly stop is needed. A frozen container receives no signal; these fail without a
    // container.
    for (const command of ['unpause', 'kill']) await dockerEnded(['compose', '--project-name', this.project, command]);
    await this.environmentUp?.down({ removeVolumes: true, timeout: 20_000 });
    this.environmentUp = undefined;
    // What an unfinished start has left.
    await docker(['compose', '--project-name', this.project, 'down', '--volumes', '--timeout', '0']);
  }

  /** Name of the service's container. */
  container(service: ComposeService): string {
    return `${this.project}-${service}-1`;
  }

  /** SIGKILL. The engine takes it for the operator's will and does not restart the container. */
  async kill(...services: readonly ComposeService[]): Promise<void> {
    await docker(['kill', ...services.map((service) => this.container(service))]);
  }

  /** All at once, in no order. Resolves when they run, not when they serve. */
  async start(...services: readonly ComposeService[]): Promise<void> {
    await docker(['start', ...services.map((service) => this.container(service))]);
  }

  healthy(service: ComposeService): Promise<void> {
    return eventually(
      `${service} is healthy`,
      async () => (await this.inspect(service, '{{.State.Health.Status}}')) === 'healthy',
      90_000,
    );
  }

  /** Every process of the container is paused; its connections stay open, and new ones are still taken by the kernel. */
  async pause(service: ComposeService): Promise<void> {
    await docker(['pause', this.container(service)]);
  }

  async unpause(service: ComposeService): Promise<void> {
    await docker(['unpause', this.container(service)]);
  }

  /** Disconnects it from the networks between the services: packets vanish silently, and the service's name is unknown. */
  async disconnect(service: ComposeService): Promise<void> {
    for (const network of this.networksOf(service)) {
      await docker(['network', 'disconnect', network, this.container(service)]);
    }
  }

  /** Under the service's name, and under another address than `before`, if given: that is taken by then. */
  async reconnect(service: ComposeService, before = ''): Promise<void> {
    const takers: string[] = [];
    const addressOf = (container: string): Promise<string> =>
      docker(['inspect', '--format', this.addressFormat, container]).then((text) => text.trim());
    try {
      // The engine gives the lowest free address, which need not be the one given back last.
      for (let taken = ''; taken !== before; taken = await addressOf(takers.at(-1)!)) {
        if (takers.length === 8) throw new Error(`nobody gets the address ${before}`);
        takers.push(uniqueName('address-taker'));
        const options = ['--detach', '--name', takers.at(-1)!, '--network', this.innerNetwork, '--entrypoint', 'sleep'];
        await docker(['run', ...options, await image(), '600']);
      }
      for (const network of this.networksOf(service)) {
        await docker(['network', 'connect', '--alias', service, network, this.container(service)]);
      }
    } finally {
      if (takers.length > 0) await docker(['rm', '--force', ...takers]);
    }
  }

  /** On the network between the services. */
  address(service: ComposeService): Promise<string> {
    return this.inspect(service, this.addressFormat);
  }

  /** The container and its data volume, as a lost machine takes them. */
  async removeWithVolume(service: ComposeService): Promise<void> {
    await docker(['rm', '--force', this.container(service)]);
    await docker(['volume', 'rm', `${this.project}_${service}`]);
  }

  /** What an operator does about it: `docker compose up` for what is missing; or `create`, which starts nothing. */
  async compose(...command: readonly string[]): Promise<void> {
    await docker(['compose', '--project-name', this.project, '--file', 'compose.yaml', ...command], {
      environment: this.environment,
    });
  }

  /** For programs that run `docker compose` on this project themselves. */
  get commandEnvironment(): Readonly<Record<string, string>> {
    const file = join(root, 'compose.yaml');
    return { ...this.environment, COMPOSE_FILE: file, COMPOSE_PROJECT_NAME: this.project };
  }

  private get addressFormat(): string {
    return `{{(index .NetworkSettings.Networks "${this.innerNetwork}").IPAddress}}`;
  }

  private get innerNetwork(): string {
    return `${this.project}_inner`;
  }

  /** Those on which it reaches others of the cluster: regions share two. */
  private networksOf(service: ComposeService): readonly string[] {
    const isRegion = (regionServices as readonly string[]).includes(service);
    return [this.innerNetwork, ...(isRegion ? [`${this.project}_metrics`] : [])];
  }

  async inspect(service: ComposeService, format: string): Promise<string> {
    return (await docker(['inspect', '--format', format, this.container(service)])).trim();
  }

  exec(service: ComposeService, ...command: readonly string[]): Promise<string> {
    return docker(['exec', this.container(service), ...command]);
  }

  logs(service: ComposeService): Promise<string> {
    return docker(['logs', this.container(service)]);
  }

  get<T = Record<string, unknown>>(path: string): Promise<Answer<T>> {
    return requestJson<T>(this.url + path, { headers: this.keyed });
  }

  post<T = Record<string, unknown>>(path: string, body: unknown): Promise<Answer<T>> {
    return requestJson<T>(this.url + path, {
      method: 'POST',
      headers: { ...this.keyed, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Valid for everything. */
  get key(): string {
    return this.environment.TIDAL_API_KEY!;
  }

  private get keyed(): Readonly<Record<string, string>> {
    return keyHeaders(this.url);
  }

  /**
   * Text a process answers on its own port, which is not published: asked from inside its container; a body is posted. A region
   * is asked with the internal token of the container's own secret, the router with the key.
   */
  fromInside(service: ComposeService, url: string, body?: unknown): Promise<string> {
    const init =
      body === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const program = `
      import { readFileSync } from 'node:fs';
      import { InternalKeys } from '/app/dist/shared/credentials/internal-keys.js';
      const secrets = readFileSync(process.env.TIDAL_INTERNAL_SECRET_FILE, 'utf8').trim().split(/\\s+/);
      const keyed = ${JSON.stringify(service === 'router' ? this.keyed : undefined)};
      const credential = keyed ?? new InternalKeys({ secrets, insecure: false }).headers;
      const init = ${JSON.stringify(init)};
      const answer = await fetch(${JSON.stringify(url)}, { ...init, headers: { ...init.headers, ...credential } });
      process.stdout.write(await answer.text());`;
    return this.exec(service, 'node', '--input-type=module', '--eval', program);
  }

  async status(): Promise<ClusterStatus> {
    const { status, body } = await this.get<ClusterStatus>('/cluster/status');
    if (status !== 200) throw new Error(`/cluster/status answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  async region(name: RegionService): Promise<StatusRegion> {
    const region = (await this.status()).regions.find((each) => each.name === name);
    if (region === undefined) throw new Error(`/cluster/status does not show ${name}`);
    return region;
  }

  async leader(): Promise<RegionService> {
    return (await this.status()).leader as RegionService;
  }

  /** In the order of the topology. */
  async followers(): Promise<readonly [RegionService, RegionService]> {
    const leader = await this.leader();
    const [first, second] = regionServices.filter((name) => name !== leader);
    return [first!, second!];
  }

  /** Every region reachable and ready, and the leader known. */
  settled(): Promise<void> {
    return eventually('the cluster is healthy', async () => (await this.get('/health')).body.status === 'ok', 60_000);
  }

  /** All regions at one position, bit-identical. Answers the digest. */
  async converged(limitMs = 60_000): Promise<string> {
    let digest = '';
    await eventually(
      'all regions converge to one position and one digest',
      async () => {
        const texts = await Promise.all(
          regionServices.map((name) => this.fromInside(name, 'http://127.0.0.1:9510/internal/digest')),
        );
        const answers = texts.map((text) => JSON.parse(text) as { position: string; digest: string });
        digest = answers[0]!.digest;
        if (new Set(answers.map(({ position }) => position)).size > 1) return false;
        if (new Set(answers.map((answer) => answer.digest)).size > 1) {
          throw new Error(`one position, different digests: ${texts.join(' ')}`);
        }
        return true;
      },
      limitMs,
    );
    return digest;
  }
}
