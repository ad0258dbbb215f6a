/** `npm run restore`: a backup becomes the store of a region that does not run. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../../shared/errors/config-error.ts';
import { systemClock as clock, systemRandom as random } from '../../shared/kernel/system.ts';
import { regionPattern } from '../../shared/topology/topology.ts';
import { argumentsOf, leaveWith, removedWhenInterrupted, required, say } from './command.ts';
import { readManifest } from './manifest.ts';
import { putBack } from './put-back.ts';

const help = `npm run restore -- --from FILE --data-dir DIR [--region NAME] [--replace]

Installs a backup as the store of a stopped region. The backup is checked first. At its next start the region serves the state
of the backup and receives later events from the stream and the other regions.

  --from      the backup; its manifest, the .json, is beside it
  --data-dir  the region's data directory, empty or missing
  --region    the region that will run on it, default the one that was backed up
  --replace   the directory may hold a store: it is replaced, and removed once the restored one is on the disk

Exit code 0: done. 1: it failed, or the backup is damaged; the directory is as it was. 2: invalid arguments.
`;

const text = { type: 'string' } as const;
const DAY_MS = 86_400_000;
/** Age after which regions remove idempotency records. */
const KEYS_FORGOTTEN_DAYS = 8;

await leaveWith('restore', async () => {
  const options = { from: text, 'data-dir': text, region: text, replace: { type: 'boolean' } } as const;
  const given = argumentsOf(process.argv.slice(2), options);
  if (given === undefined) return say(help);
  const from = resolve(required(given, 'from'));
  const dataDir = resolve(required(given, 'data-dir'));
  if (!existsSync(from)) throw new ConfigError(`${from} does not exist`);
  const manifest = readManifest(from);
  const region = given.region === undefined ? manifest.region : required(given, 'region');
  if (!regionPattern.test(region))
    throw new ConfigError(`--region must match ${regionPattern.source}, not "${region}"`);
  const { counts, missed } = await putBack({
    clock,
    random,
    from,
    manifest,
    dataDir,
    region,
    replace: given.replace === true,
    say,
    unfinished: removedWhenInterrupted,
  });
  say(
    `${dataDir} holds the store of ${region} as of ${manifest.created}: ${counts.events} events, ${counts.items} items`,
  );
  const days = (clock.nowMs() - Date.parse(manifest.created)) / DAY_MS;
  if (days > KEYS_FORGOTTEN_DAYS && manifest.unshipped_events !== 0) {
    const held =
      manifest.unshipped_events === undefined ? 'may hold events' : `holds ${manifest.unshipped_events} events`;
    say(
      `warning: it is ${Math.floor(days)} days old and ${held} that no other region had; where other regions have forgotten the idempotency keys of that time they stop with keys_forgotten (docs/runbook.md)`,
    );
  }
  if (missed !== undefined) {
    say(
      `it was made of the disk ${missed}: if that one will not come back, POST /cluster/retire-disk {"disk":"${missed}"}; idempotency keys are kept until then`,
    );
  }
});
