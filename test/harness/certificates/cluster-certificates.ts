/** Certificates of the processes of a cluster under test, in a directory of their own, made by the code that makes an operator's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { type Issued, issue, newAuthority, type Process } from '../../../deploy/tidal/certificates/issue.ts';

export const DAYS = 30;

export interface IssueOptions {
  readonly hosts?: readonly string[];
  readonly sides?: Process['sides'];
  /** As if it had been issued this long ago, days; below 0: not valid yet. */
  readonly agedDays?: number;
}

export class ClusterCertificates {
  readonly directory = mkdtempSync(join(tmpdir(), 'tidal-certificates-'));
  readonly authorities: Issued[] = [];
  /** How the test itself reaches regions, renewed by `agent`. */
  private agents: Agent[] = [];

  constructor() {
    this.addAuthority();
  }

  /** The newest one issues from now on. */
  addAuthority(): void {
    this.authorities.push(newAuthority(`authority ${this.authorities.length + 1}`, { nowMs: Date.now(), days: DAYS }));
  }

  issued(
    name: string,
    { hosts = ['127.0.0.1'], sides = ['server', 'client'], agedDays = 0 }: IssueOptions = {},
  ): Issued {
    const nowMs = Date.now() - agedDays * 86_400_000;
    return issue(this.authorities.at(-1)!, { name, hosts, sides }, { nowMs, days: DAYS });
  }

  path(file: string): string {
    return join(this.directory, file);
  }

  /** Writes the process's certificate and key. */
  write(name: string, options: IssueOptions = {}): void {
    const { cert, key } = this.issued(name, options);
    writeFileSync(this.path(`${name}-cert.pem`), cert);
    writeFileSync(this.path(`${name}-key.pem`), key);
  }

  /** Writes the authorities that every process believes. */
  writeAuthorities(authorities: readonly Issued[] = this.authorities): void {
    writeFileSync(this.path('ca.pem'), authorities.map(({ cert }) => cert).join(''));
  }

  environmentOf(name: string): Readonly<Record<string, string>> {
    return {
      TIDAL_TLS_CERT_FILE: this.path(`${name}-cert.pem`),
      TIDAL_TLS_KEY_FILE: this.path(`${name}-key.pem`),
      TIDAL_TLS_CA_FILE: this.path('ca.pem'),
    };
  }

  /** Connections that present this certificate, or none. */
  agent(identity: Issued | undefined, authorities: readonly Issued[] = this.authorities): Agent {
    const agent = new Agent({
      connect: { ...identity, ca: authorities.map(({ cert }) => cert), maxCachedSessions: 0 },
    });
    this.agents.push(agent);
    return agent;
  }

  async remove(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.destroy()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
