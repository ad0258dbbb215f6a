/** `tidal drill stop`: ends any drill and undoes what it has done. */
import { type cluster, type TidalClient, TidalProblem } from '../../../shared/client/client.ts';
import { sleep } from '../../../shared/kernel/kernel.ts';
import { systemClock } from '../../../shared/kernel/system.ts';
import { clusterArguments, clusterHelp } from '../cluster/request.ts';
import type { Command } from '../command.ts';
import { targetHelp, targetOf, targetOptions } from './target.ts';

const ATTEMPTS = 20;

export const stopDrill: Command = {
  summary: 'ends the drill that runs, and heals every region',
  help: `tidal drill stop [--target http|local|compose]

The program that runs the drill learns of it within seconds, undoes what else it has done, and ends with exit code 3. Without a
drill it heals the regions that are partitioned. Processes that a drill has stopped or paused run again. Needs the scope admin.
${targetHelp}
${clusterHelp}`,
  async run(args) {
    const { text, client, router, answer } = clusterArguments(args, { options: targetOptions });
    const { processes } = targetOf(text, router.url);
    // NATS may be what was stopped, and it has the lease.
    await processes?.startAll();
    const answered = await stopped(client);
    // The drill may have done its next step meanwhile.
    await processes?.startAll();
    answer(answered, ({ ended, healed, not_reached }) =>
      [
        ended === null ? 'no drill was in progress' : `ended: ${ended.title}`,
        healed.length === 0 ? 'no region was partitioned' : `healed: ${healed.join(', ')}`,
        ...(not_reached.length === 0 ? [] : [`not reached: ${not_reached.join(', ')}`]),
      ].join('\n'),
    );
  },
};

/** Asks again while the broker starts. */
async function stopped(client: TidalClient): Promise<cluster.StopDrillAnswer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.stopDrill();
    } catch (error) {
      const isStarting = error instanceof TidalProblem && error.code === 'control_unavailable';
      if (!isStarting || attempt >= ATTEMPTS) throw error;
    }
    await sleep(systemClock, 1_000);
  }
}
