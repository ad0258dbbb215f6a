/** The private nats-server's configuration file. The container's is `deploy/nats/nats.conf`. */

import { type NatsUser, usersBlock } from './nats-users.ts';

export interface NatsConfig {
  readonly port: number;
  readonly storeDir: string;
  readonly pidFile: string;
  /** Servers before 2.10 refuse the setting. */
  readonly syncAlways: boolean;
  readonly users: readonly NatsUser[];
}

export function natsConfig({ port, storeDir, pidFile, syncAlways, users }: NatsConfig): string {
  return [
    '# Written at every start by the launcher.',
    'server_name: tidal-local',
    `listen: "127.0.0.1:${port}"`,
    `pid_file: ${JSON.stringify(pidFile)}`,
    'max_payload: 1MB',
    ...usersBlock(users),
    'jetstream {',
    `  store_dir: ${JSON.stringify(storeDir)}`,
    ...(syncAlways ? ['  sync_interval: always'] : []),
    '}',
    '',
  ].join('\n');
}
