/**
 * The wires of a cluster of processes: one {@link TcpLink} from each process to nats-server and to each region, so that
 * any one of them can fail alone and in one direction.
 */
import type { Random } from '../../../shared/kernel/kernel.ts';
import { TcpLink } from './tcp-link.ts';

/** The name nats-server has at the end of a wire. */
export const NATS = 'nats';

export class Network {
  private readonly random: Random;
  private readonly reserved: ReadonlySet<number>;
  private readonly links = new Map<string, TcpLink>();

  /** `reserved`: ports that are free at present and assigned. */
  constructor(random: Random, reserved: readonly number[]) {
    this.random = random;
    this.reserved = new Set(reserved);
  }

  /** Lays a wire; answers the port to dial instead of the target's. */
  async lay(from: string, to: string, targetPort: number): Promise<number> {
    const link = await TcpLink.open({ targetPort, random: this.random });
    // Kept open while another one is opened, so that it is not assigned again.
    const port = this.reserved.has(link.port) ? await this.lay(from, to, targetPort) : link.port;
    if (port === link.port) this.links.set(`${from} > ${to}`, link);
    else await link.close();
    return port;
  }

  /** Names of all wires, `from > to`. */
  get names(): readonly string[] {
    return [...this.links.keys()];
  }

  link(from: string, to: string): TcpLink {
    return this.named(`${from} > ${to}`);
  }

  named(name: string): TcpLink {
    const link = this.links.get(name);
    if (link === undefined) throw new Error(`no wire ${name}; there are: ${this.names.join(', ')}`);
    return link;
  }

  /** Every wire that begins or ends at one of `here` and at one of `there`. */
  between(here: readonly string[], there: readonly string[]): TcpLink[] {
    return [...this.links]
      .filter(([name]) => {
        const [from = '', to = ''] = name.split(' > ');
        return (here.includes(from) && there.includes(to)) || (here.includes(to) && there.includes(from));
      })
      .map(([, link]) => link);
  }

  async heal(): Promise<void> {
    await Promise.all([...this.links.values()].map((link) => link.heal()));
  }

  async close(): Promise<void> {
    await Promise.all([...this.links.values()].map((link) => link.close()));
  }
}
