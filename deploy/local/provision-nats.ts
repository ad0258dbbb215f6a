/**
 * Finds a nats-server, or fetches one: tries the sources in order, and prints one line about the result of each. A source returns
 * a program file; running it here decides whether it is a usable nats-server.
 */
import { Fault, messageOf } from '../../shared/errors/errors.ts';

export interface NatsBinary {
  readonly path: string;
  /** `2.10.27`. */
  readonly version: string;
  /** Whether the server supports `sync_interval: always`. */
  readonly syncAlways: boolean;
}

export interface NatsSource {
  /** `nats-server on the PATH`. */
  readonly name: string;
  /** True if the operator chose it: if it cannot be used, nothing else is tried. */
  readonly demanded?: boolean;
  /** A program file; undefined if this machine has no such source; throws if it was tried and failed. */
  find(): Promise<string | undefined>;
}

export interface Provisioning {
  readonly sources: readonly NatsSource[];
  /** The output of `<path> --version`; throws if it cannot be run. */
  readonly version: (path: string) => Promise<string>;
  readonly say: (line: string) => void;
}

/** Throws `Fault('nats_server_missing')` whose text lists what to install. */
export async function provisionNats({ sources, version, say }: Provisioning): Promise<NatsBinary> {
  for (const source of sources) {
    try {
      const path = await source.find();
      if (path === undefined) {
        say(`${source.name}: not there`);
        continue;
      }
      const binary = judge(path, await version(path));
      say(`${source.name}: ${path}, version ${binary.version}`);
      if (!binary.syncAlways) {
        say(
          `nats-server ${binary.version} is older than 2.10 and cannot sync every write: a power loss of this machine may cost the stream its tail, which the regions repair`,
        );
      }
      return binary;
    } catch (error) {
      say(`${source.name}: ${messageOf(error)}`);
      if (source.demanded === true) {
        throw new Fault('nats_server_missing', `${source.name} cannot be used: ${messageOf(error)}`);
      }
    }
  }
  throw new Fault(
    'nats_server_missing',
    [
      'no nats-server was found and none could be fetched. Any one of these helps:',
      '  - install nats-server 2.10 or newer so that it is on the PATH (https://github.com/nats-io/nats-server/releases)',
      '  - on Debian or Ubuntu: apt-get install nats-server',
      '  - name the program: NATS_SERVER=/path/to/nats-server npm start',
      '  - start Docker: the server is then taken from the image nats:2-alpine',
    ].join('\n'),
  );
}

function judge(path: string, printed: string): NatsBinary {
  const match = /nats-server: v?(\d+)\.(\d+)\.(\d+)/.exec(printed);
  if (match === null) throw new Fault('nats_server_unusable', `${path} is no nats-server: it says "${printed.trim()}"`);
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number);
  const version = `${major}.${minor}.${patch}`;
  // Pull consumers with heartbeats came with 2.9.3.
  const usable = major > 2 || (major === 2 && (minor > 9 || (minor === 9 && patch >= 3)));
  if (!usable) throw new Fault('nats_server_unusable', `version ${version} is too old; 2.10 or newer is wanted`);
  return { path, version, syncAlways: major > 2 || minor >= 10 };
}
