/** `tidal drill stop`: ends any drill and undoes what it has done. */
import type { StopDrillAnswer } from '../../../services/router/drills/drills.ts';
import { clusterArguments, clusterHelp } from '../cluster/request.ts';
import type { Command } from '../command.ts';

export const stopDrill: Command = {
  summary: 'ends the drill that runs, and heals every region',
  help: `tidal drill stop

The program that runs the drill learns of it within seconds, undoes what else it has done, and ends with exit code 3. Without a
drill it heals the regions that are partitioned. Needs the scope admin.
${clusterHelp}`,
  async run(args) {
    const { router, answer } = clusterArguments(args, {});
    const answered = await router.post<StopDrillAnswer>('/cluster/drill/stop', {});
    answer(answered, ({ ended, healed, not_reached }) =>
      [
        ended === null ? 'no drill was in progress' : `ended: ${ended.title}`,
        healed.length === 0 ? 'no region was partitioned' : `healed: ${healed.join(', ')}`,
        ...(not_reached.length === 0 ? [] : [`not reached: ${not_reached.join(', ')}`]),
      ].join('\n'),
    );
  },
};
