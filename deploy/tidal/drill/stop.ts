/** `tidal drill stop`: ends any drill and undoes what it has done. */
import { type cluster, type TidalClient, TidalProblem, TidalUnanswered } from '../../../shared/client/client.ts';
import { type Clock, sleep } from '../../../shared/kernel/kernel.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { CommandError } from '../../backup/command.ts';
import type { Processes } from '../../drill/surface.ts';
import { type ClusterArguments, clusterArguments, clusterHelp } from '../cluster/request.ts';
import type { Command } from '../command.ts';
import { targetHelp, targetOf, targetOptions } from './target.ts';

/** For processes that have to start before they can be healed, and for the broker, ms. */
const LIMIT_MS = 60_000;
const PAUSE_MS = 1_000;

export const stopDrill: Command = {
  summary: 'ends the drill in progress, and heals every region',
  help: `tidal drill stop [--target http|local|compose]

Starts and resumes the processes that a drill has stopped or paused, heals every region that is partitioned, and ends the lease of
drills; also when no drill is in progress. The program that runs the drill learns of it within seconds, undoes what else it has done,
and ends with exit code 3. A region that does not answer is asked again for a minute; exit code 1 if it is not reached then: a
partition of it ends at its deadline. Needs the scope admin.
${targetHelp}
${clusterHelp}`,
  async run(args) {
    const { text, client, routers, answer } = clusterArguments(args, { options: targetOptions });
    const { processes } = targetOf(text, routers.urls);
    const answered = await stopped({ client, processes, clock: systemClock });
    // The drill may have done its next step meanwhile.
    await processes?.startAll();
    conclude(answered, answer);
  },
};

/** Prints what was done. Throws `CommandError` that names the regions that were not reached. */
export function conclude(answered: cluster.StopDrillAnswer, answer: ClusterArguments['answer']): void {
  const { not_reached: missed } = answered;
  answer(answered, ({ ended, healed }) =>
    [
      ended === null ? 'no drill was in progress' : `ended: ${ended.title}`,
      ...(healed.length > 0
        ? [`healed: ${healed.join(', ')}`]
        : missed.length > 0
          ? []
          : ['no region was partitioned']),
    ].join('\n'),
  );
  if (missed.length > 0)
    throw new CommandError(
      `not reached: ${missed.join(', ')}; a partition there ends at its deadline, or by tidal heal`,
    );
}

export interface StopOptions {
  readonly client: Pick<TidalClient, 'stopDrill'>;
  readonly processes: Pick<Processes, 'startAll'> | undefined;
  readonly clock: Clock;
}

/**
 * Asks again while router, broker or a region starts: any of them may be what was stopped, and NATS has the lease. What all answers
 * have healed, and what the last one has not reached.
 */
export async function stopped({ client, processes, clock }: StopOptions): Promise<cluster.StopDrillAnswer> {
  const endMs = clock.monotonicMs() + LIMIT_MS;
  let ended: cluster.StopDrillAnswer['ended'] = null;
  const healed = new Set<string>();
  for (;;) {
    await processes?.startAll();
    const isLast = clock.monotonicMs() >= endMs;
    try {
      const answered = await client.stopDrill();
      ended ??= answered.ended;
      for (const name of answered.healed) healed.add(name);
      if (isLast || answered.not_reached.length === 0) return { ...answered, ended, healed: [...healed] };
    } catch (error) {
      const isStarting =
        (error instanceof TidalProblem && error.code === 'control_unavailable') ||
        // The router may be what was stopped. Where no process is started it stays away, and that is said at once.
        (error instanceof TidalUnanswered && processes !== undefined);
      if (!isStarting || isLast) throw error;
    }
    await sleep(clock, PAUSE_MS);
  }
}
