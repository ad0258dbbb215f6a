/** `tidal`: the operator's commands. The first words choose one; the table below has them all. */
import { ConfigError } from '../../shared/errors/config-error.ts';
import { PROGRAM_VERSION } from '../../shared/protocol/version.ts';
import { leaveWith, say } from '../backup/command.ts';
import { verify } from '../verify/verify.ts';
import { clusterCertificates } from './certificates/certificates.ts';
import { check } from './cluster/check.ts';
import { heal, partition, promote } from './cluster/drills.ts';
import { events } from './cluster/events.ts';
import { feed, getItem, search } from './cluster/reads.ts';
import { orSaid } from './cluster/request.ts';
import { status } from './cluster/status.ts';
import { trace } from './cluster/trace.ts';
import type { Command } from './command.ts';
import { completionOf } from './completion.ts';
import { checkDrills, listDrills } from './drill/check.ts';
import { runDrillFile } from './drill/run.ts';
import { stopDrill } from './drill/stop.ts';
import { firstKeys } from './first-keys.ts';
import { firstSecrets, replacedSecrets } from './first-secrets.ts';
import { newKey } from './new-key.ts';
import { streamSettings } from './stream-settings.ts';

const commands: Readonly<Record<string, Command>> = {
  'keys new': newKey,
  'keys init': firstKeys,
  'secrets init': firstSecrets,
  'secrets replace': replacedSecrets,
  'secrets certificates': clusterCertificates,
  'stream settings': streamSettings,
  verify,
  status,
  promote,
  partition,
  heal,
  events,
  trace,
  feed,
  search,
  'items get': getItem,
  'drill run': runDrillFile,
  'drill check': checkDrills,
  'drill list': listDrills,
  'drill stop': stopDrill,
  check,
  completion: completionOf(() => commands),
};

const isHelp = (word: string | undefined): boolean => word === '--help' || word === '-h';

/** Of the commands that begin with these words. */
function list(names: readonly string[]): string {
  const width = Math.max(...names.map((name) => name.length));
  const lines = names.map((name) => `  ${name.padEnd(width)}  ${commands[name]!.summary}`);
  return `tidal COMMAND [options]; tidal COMMAND --help says more\n\n${lines.join('\n')}`;
}

async function run(args: readonly string[]): Promise<void> {
  const names = Object.keys(commands);
  if (args.length === 1 && args[0] === '--version') return say(PROGRAM_VERSION);
  const name = names.find((each) => each.split(' ').every((word, index) => args[index] === word));
  if (name !== undefined) {
    const rest = args.slice(name.split(' ').length);
    if (rest.some(isHelp)) say(commands[name]!.help.trimEnd());
    else await commands[name]!.run(rest);
    return;
  }
  const end = args.findIndex((word) => word.startsWith('-'));
  const words = (end < 0 ? args : args.slice(0, end)).join(' ');
  const similar = names.filter((each) => words === '' || each.startsWith(`${words} `));
  if (similar.length > 0 && (args.length === 0 || args.some(isHelp))) return say(list(similar));
  throw new ConfigError(`unknown command "${args.join(' ')}"; commands: ${names.join(', ')}`);
}

await leaveWith('tidal', () => orSaid(run(process.argv.slice(2))));
