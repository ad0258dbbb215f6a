/** `tidal promote`, `partition`, `heal`, and `verify` of a running cluster: what an operator does to a running cluster. */
import { CommandError } from '../../backup/command.ts';
import type { Command } from '../command.ts';
import { clusterArguments, clusterHelp } from './request.ts';

export const promote: Command = {
  summary: 'makes a region the leader; the former one hands over',
  help: `tidal promote REGION [--force]

Writes wait in the routers until the former leader has handed over; none fails. Needs the scope admin.

  --force  without the former leader: its last events may be unknown to the new one, and are merged when it is back
${clusterHelp}`,
  async run(args) {
    const { words, flag, client, answer } = clusterArguments(args, {
      words: ['REGION'],
      options: { force: { type: 'boolean' } },
    });
    const answered = await client.promote({ region: words[0]!, ...(flag('force') ? { force: true } : {}) });
    answer(answered, ({ leader, previous, epoch, handed_over_events: events, took_ms, left_behind }) => {
      if (leader === previous) return `${leader} leads already, epoch ${epoch}`;
      const left =
        left_behind === undefined
          ? ''
          : `; ${left_behind ?? 'an unknown number of'} events of ${previous} are not known to it yet`;
      return `${leader} leads since epoch ${epoch}, after ${previous}: ${events} events handed over in ${took_ms} ms${left}`;
    });
  },
};

export const partition: Command = {
  summary: 'partitions a region: it neither sends nor receives events until it is healed',
  help: `tidal partition REGION [--heal-after DURATION]

The region still answers reads; if it leads, it still accepts writes. Needs the scope admin.

  --heal-after  30s, 5m, 2h, at most 24h: the region heals itself then, also if nobody is there any more
${clusterHelp}`,
  async run(args) {
    const { words, text, client, answer } = clusterArguments(args, {
      words: ['REGION'],
      options: { 'heal-after': { type: 'string' } },
    });
    const healAfter = text('heal-after');
    const answered = await client.partition({
      region: words[0]!,
      ...(healAfter === undefined ? {} : { heal_after: healAfter }),
    });
    answer(answered, ({ region, heal_at }) =>
      heal_at === undefined
        ? `${region} is partitioned until it is healed: tidal heal ${region}`
        : `${region} is partitioned until ${heal_at}`,
    );
  },
};

export const heal: Command = {
  summary: 'ends the partition of a region',
  help: `tidal heal REGION [--wait]

Needs the scope admin.

  --wait  until both sides have what the other had, at most 30 s
${clusterHelp}`,
  async run(args) {
    const { words, flag, client, answer } = clusterArguments(args, {
      words: ['REGION'],
      options: { wait: { type: 'boolean' } },
    });
    const answered = await client.heal({ region: words[0]!, ...(flag('wait') ? { wait: true } : {}) });
    answer(answered, ({ region, missed_events: missed, caught_up_with: others, not_waited_for: without, took_ms }) => {
      if (others === undefined) return `${region} is healed; ${missed} events were missed on both sides together`;
      const not = without === undefined || without.length === 0 ? '' : `, not waited for ${without.join(', ')}`;
      return `${region} is healed and has caught up with ${others.join(', ')} in ${took_ms} ms${not}; ${missed} events were missed`;
    });
  },
};

/** Compares the state of all regions. Throws `CommandError` unless they agree. */
export async function verifyCluster(args: readonly string[]): Promise<void> {
  const { client, answer } = clusterArguments(args, {});
  const answered = await client.verify();
  const { converged, digests, position, reason, took_ms } = answered;
  answer(answered, () => {
    const lines = Object.entries(digests).map(([region, digest]) => `${digest}  ${region}`);
    if (converged === true) lines.push(`all regions agree at ${position || 'the empty position'}, in ${took_ms} ms`);
    return lines.join('\n');
  });
  if (converged === true) return;
  const known = converged === false ? `the regions differ at ${position}` : 'it is not known whether the regions agree';
  throw new CommandError(reason === undefined ? known : `${known}: ${reason}`);
}
