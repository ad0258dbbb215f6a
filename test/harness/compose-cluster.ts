/** The cluster of `compose.yaml`, up as a project of its own on free ports; `down` leaves nothing of it behind. */
import type { StartedDockerComposeEnvironment } from 'testcontainers';
import type { Answer, ClusterStatus } from './cluster.ts';
import { docker, image, root, uniqueName } from './docker.ts';
import { eventually } from './eventually.ts';
import { freePort } from './nats-server.ts';
import { requestJson } from './request-json.ts';

export type ComposeService = 'nats' | 'us-east' | 'eu-west' | 'ap-south' | 'router' | 'prometheus';

export const composeServices: readonly ComposeService[] = [
  'nats',
  'us-east',
  'eu-west',
  'ap-south',
  'router',
  'prometheus',
];

export class ComposeCluster {
  readonly regionNames: readonly string[] = ['us-east', 'eu-west', 'ap-south'];
  readonly url: string;
  readonly prometheusUrl: string;
  private readonly project: string;
  private readonly environment: Readonly<Record<string, string>>;
  private environmentUp: StartedDockerComposeEnvironment | undefined;

  private constructor(project: string, environment: Record<string, string>) {
    this.project = project;
    this.environment = environment;
    this.url = `http://127.0.0.1:${environment.TIDAL_PORT}`;
    this.prometheusUrl = `http://127.0.0.1:${environment.PROMETHEUS_PORT}`;
  }

  /** Builds the image if need be and resolves when every service is healthy. `environment`: see `compose.yaml`. */
  static async up(environment: Readonly<Record<string, string>> = {}): Promise<ComposeCluster> {
    // Loaded late, because it reads its environment variables when it is loaded.
    const { DockerComposeEnvironment, Wait } = await import('testcontainers');
    const cluster = new ComposeCluster(uniqueName('compose'), {
      TIDAL_IMAGE: await image(),
      TIDAL_PORT: String(await freePort()),
      PROMETHEUS_PORT: String(await freePort()),
      ...environment,
    });
    try {
      cluster.environmentUp = await new DockerComposeEnvironment(root, 'compose.yaml')
        .withProjectName(cluster.project)
        .withEnvironment({ ...cluster.environment })
        .withDefaultWaitStrategy(Wait.forHealthCheck())
        .withStartupTimeout(120_000)
        .withAutoCleanup(false)
        .up();
    } catch (error) {
      await cluster.down();
      throw error;
    }
    return cluster;
  }

  async down(): Promise<void> {
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
  async kill(service: ComposeService): Promise<void> {
    await docker(['kill', this.container(service)]);
  }

  /** Resolves when its health check passes. */
  async start(service: ComposeService): Promise<void> {
    await docker(['start', this.container(service)]);
    await eventually(
      `${service} is healthy`,
      async () => (await this.inspect(service, '{{.State.Health.Status}}')) === 'healthy',
      60_000,
    );
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
    return requestJson<T>(this.url + path);
  }

  post<T = Record<string, unknown>>(path: string, body: unknown): Promise<Answer<T>> {
    return requestJson<T>(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Text a region answers on its own port, which is not published: asked from inside its container. */
  fromInside(service: ComposeService, url: string): Promise<string> {
    const program = `process.stdout.write(await (await fetch(${JSON.stringify(url)})).text())`;
    return this.exec(service, 'node', '--input-type=module', '--eval', program);
  }

  async status(): Promise<ClusterStatus> {
    const { status, body } = await this.get<ClusterStatus>('/cluster/status');
    if (status !== 200) throw new Error(`/cluster/status answered ${status}: ${JSON.stringify(body)}`);
    return body;
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
          (['us-east', 'eu-west', 'ap-south'] as const).map((name) =>
            this.fromInside(name, 'http://127.0.0.1:9510/internal/digest'),
          ),
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
