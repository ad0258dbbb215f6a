/** The nats-server the tests run: found or fetched once a run, the way `npm start` does it, into the same folder. */
import { fileURLToPath } from 'node:url';
import { natsSources } from '../../../deploy/local/nats-sources/sources.ts';
import { machineTools, versionOf } from '../../../deploy/local/nats-sources/tools.ts';
import { type NatsBinary, provisionNats } from '../../../deploy/local/provision-nats.ts';
import { systemClock } from '../../../shared/kernel/system.ts';

const cacheDir = fileURLToPath(new URL('../../../../.tidal/_bin', import.meta.url));

let found: Promise<NatsBinary> | undefined;

export async function natsBinary(): Promise<string> {
  return (await provisioned()).path;
}

/** Whether it takes `sync_interval: always`, as the server of `npm start` is given where it can. */
export async function natsSyncs(): Promise<boolean> {
  return (await provisioned()).syncAlways;
}

function provisioned(): Promise<NatsBinary> {
  found ??= (async () => {
    const tools = machineTools(systemClock);
    const natsServer = process.env.NATS_SERVER;
    const sources = natsSources({ tools, cacheDir, ...(natsServer ? { natsServer } : {}) });
    const said: string[] = [];
    try {
      const version = (path: string) => versionOf(tools, path);
      return await provisionNats({ sources, version, say: (line) => said.push(line) });
    } catch (error) {
      throw new Error(`the tests need a nats-server:\n${said.join('\n')}`, { cause: error });
    }
  })();
  return found;
}
