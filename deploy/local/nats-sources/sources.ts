/** The sources of a nats-server, in order: installed ones first, then those that are fetched. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../../shared/config/make-directory.ts';
import { Fault } from '../../../shared/errors/errors.ts';
import type { NatsSource } from '../provision-nats.ts';
import { downloadRelease } from './download.ts';
import { unpackPackage } from './package.ts';
import { lastLine, type Tools } from './tools.ts';

export interface SourceOptions {
  readonly tools: Tools;
  /** Folder of fetched programs, which are reused. Absolute. */
  readonly cacheDir: string;
  /** Path given by the operator. */
  readonly natsServer?: string;
}

export const image = 'nats:2-alpine';

export function natsSources({ tools, cacheDir, natsServer }: SourceOptions): readonly NatsSource[] {
  const cached = join(cacheDir, 'nats-server');
  const fetched = (name: string, fetch: (target: string) => Promise<boolean>): NatsSource => ({
    name,
    async find() {
      makeDirectory(cacheDir);
      return (await fetch(cached)) ? cached : undefined;
    },
  });
  return [
    ...(natsServer === undefined
      ? []
      : [{ name: 'NATS_SERVER', demanded: true, find: () => Promise.resolve(natsServer) }]),
    {
      name: 'nats-server on the PATH',
      async find() {
        const { code } = await tools.run('nats-server', ['--version']);
        return code === 127 ? undefined : 'nats-server';
      },
    },
    { name: 'nats-server fetched earlier', find: async () => (existsSync(cached) ? cached : undefined) },
    fetched('the package of this distribution', (target) => unpackPackage(tools, target)),
    fetched('the release on GitHub', (target) => downloadRelease(tools, target)),
    fetched(`the image ${image}`, (target) => copyFromImage(tools, target)),
  ];
}

async function copyFromImage(tools: Tools, target: string): Promise<boolean> {
  // The image's program is a Linux one.
  if (tools.platform !== 'linux') return false;
  const created = await tools.run('docker', ['create', image]);
  if (created.code === 127) return false;
  if (created.code !== 0) throw new Fault('docker_failed', `docker: ${lastLine(created.output)}`);
  const container = lastLine(created.output);
  const copied = await tools.run('docker', ['cp', `${container}:/usr/local/bin/nats-server`, target]);
  await tools.run('docker', ['rm', container]);
  if (copied.code !== 0) throw new Fault('docker_failed', `docker: ${lastLine(copied.output)}`);
  return true;
}
