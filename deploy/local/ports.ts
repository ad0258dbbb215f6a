/** Checks, before anything starts, whether the ports of the plan are free. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Address } from '../../shared/config/settings-table.ts';
import { type Clock, sleep } from '../../shared/kernel/kernel.ts';
import { addressText, type Plan } from './plan.ts';

export interface TakenPort {
  readonly address: Address;
  /** One line that names port, reason and flag. */
  readonly text: string;
}

/** The ports of the plan that cannot be listened on. */
export async function takenPorts({ router, regions, nats }: Plan): Promise<readonly TakenPort[]> {
  const counted = (role: string) => `${role}; it is counted from the port of --listen`;
  const wanted: readonly [Address, string][] = [
    [router, 'the router; choose another with --listen'],
    ...regions.map(({ name, listen }): [Address, string] => [listen, counted(`region ${name}`)]),
    [{ host: '127.0.0.1', port: nats.port }, counted('nats-server')],
  ];
  const taken: TakenPort[] = [];
  for (const [address, role] of wanted) {
    const why = await whyNot(address);
    if (why !== undefined)
      taken.push({ address, text: `port ${address.port} ${why} (${addressText(address)}, for ${role})` });
  }
  return taken;
}

/** Processes of a killed launcher end by themselves, within their own limit. */
export async function waitForPorts(plan: Plan, clock: Clock, limitMs: number): Promise<readonly TakenPort[]> {
  const end = clock.monotonicMs() + limitMs;
  for (;;) {
    const taken = await takenPorts(plan);
    if (taken.length === 0 || clock.monotonicMs() > end) return taken;
    await sleep(clock, 250);
  }
}

async function whyNot({ host, port }: Address): Promise<string | undefined> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return 'is taken by another process';
    if (code === 'EACCES') return 'needs rights this user does not have';
    if (code === 'EADDRNOTAVAIL') return 'is on an address this machine does not have';
    return message;
  }
}
