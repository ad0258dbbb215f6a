/** `tidal status`: the regions of a cluster, what is wrong, and which of them may be stopped. */
import { setTimeout as pause } from 'node:timers/promises';
import type { cluster } from '../../../shared/client/client.ts';
import { ConfigError } from '../../../shared/errors/config-error.ts';
import { say } from '../../backup/command.ts';
import type { Command } from '../command.ts';
import { clusterArguments, clusterHelp, orSaid } from './request.ts';
import { tableOf } from './table.ts';

const WATCH_SECONDS = 2;
const CLEAR = '\u001b[H\u001b[2J\u001b[3J';

export const status: Command = {
  summary: 'the regions of a cluster, what is wrong, and which of them may be stopped',
  help: `tidal status [--watch] [--every SECONDS]

A table of the regions, the notes of /health, and a sentence: which regions may be stopped without an effect on writes. A region may
be if it does not lead, what it has accepted is elsewhere, and another follower is ready to lead.

  --watch  again and again, until it is interrupted
  --every  seconds in between; default ${WATCH_SECONDS}
${clusterHelp}`,
  async run(args) {
    const options = { watch: { type: 'boolean' }, every: { type: 'string' } } as const;
    const { text, flag, client, answer } = clusterArguments(args, { options });
    const seconds = Number(text('every') ?? WATCH_SECONDS);
    if (!(seconds >= 0.1 && seconds <= 3_600)) throw new ConfigError('--every must be 0.1 to 3600 seconds');
    const show = async (): Promise<void> => {
      const [reported, health] = await orSaid(Promise.all([client.status(), client.health()]));
      answer({ ...reported, health }, () => describeCluster(reported, health));
    };
    if (!flag('watch')) return show();
    for (;;) {
      if (process.stdout.isTTY) process.stdout.write(CLEAR);
      // A router that restarts is no reason to stop watching.
      await show().catch((error: unknown) => say(String((error as Error).message)));
      await pause(seconds * 1_000);
    }
  },
};

export function describeCluster(
  reported: cluster.StatusAnswer,
  { status: health, notes }: cluster.HealthAnswer,
): string {
  const { leader, epoch, failover, stream, regions, stale, drill } = reported;
  const lines = [
    `${health}: ${leader ?? 'no region'} leads, epoch ${epoch ?? 'unknown'}, failover ${failover}, ${
      stream.connected ? `stream connected, ${stream.offset} messages` : 'stream not connected'
    }${stale === true ? '; the leader does not answer, lags are as last known' : ''}`,
    '',
    tableOf(regions, [
      ['REGION', ({ name }) => name],
      ['ROLE', ({ role }) => role],
      ['STATE', stateOf],
      ['EVENTS', ({ applied_events }) => applied_events ?? '?'],
      ['LAG', ({ lag_events }) => lag_events ?? '?'],
      ['LAG S', ({ lag_seconds }) => (lag_seconds === null ? '?' : Number(lag_seconds.toFixed(1)))],
      ['UNSHIPPED', ({ unshipped_events }) => unshipped_events ?? '?'],
      ['DISK', ({ disk }) => disk ?? '?'],
      ['VERSION', ({ version }) => version ?? '?'],
    ]),
    '',
    ...(drill === undefined ? [] : [`drill in progress since ${drill.started_at.slice(11, 19)}: ${drill.title}`]),
    ...notes.map((note) => `! ${note}`),
    mayBeStopped(regions),
  ];
  return lines.join('\n');
}

function stateOf({ reachable, ready, partitioned, heal_at, stopped, refused }: cluster.RegionReport): string {
  if (!reachable) return 'unreachable';
  const states = [
    ready ? 'ready' : 'not ready',
    partitioned ? `partitioned${heal_at === undefined ? '' : ` until ${heal_at.slice(11, 19)}`}` : '',
    stopped === undefined ? '' : `stopped: ${stopped.code}`,
    refused === undefined ? '' : `refuses messages: ${refused.reason}`,
  ];
  return states.filter((state) => state !== '').join(', ');
}

/** One sentence: which regions may be stopped without an effect on writes, and why not the others. */
export function mayBeStopped(regions: readonly cluster.RegionReport[]): string {
  const couldLead = ({ reachable, ready, partitioned, stopped }: cluster.RegionReport): boolean =>
    reachable && ready && !partitioned && stopped === undefined;
  const reasonAgainst = (region: cluster.RegionReport): string | undefined => {
    const { name, role, unshipped_events: unshipped } = region;
    if (role === 'leader') return 'it leads: promote another first';
    if (unshipped === null || unshipped > 0)
      return `${unshipped ?? 'an unknown number'} of its events are nowhere else`;
    const others = regions.filter((other) => other.name !== name && couldLead(other));
    if (!others.some((other) => other.role === 'leader')) return 'no other region leads';
    if (others.length < 2) return 'no other follower is ready to lead';
    return undefined;
  };
  const answering = regions.filter(({ reachable }) => reachable);
  const safe = answering.filter((region) => reasonAgainst(region) === undefined).map(({ name }) => name);
  const not = answering.flatMap((region) => {
    const reason = reasonAgainst(region);
    return reason === undefined ? [] : [`${region.name} (${reason})`];
  });
  const first = safe.length === 0 ? 'No region may be stopped now' : `May be stopped: ${safe.join(', ')}`;
  return `${first}${not.length === 0 ? '' : `; not ${not.join(', ')}`}.`;
}
