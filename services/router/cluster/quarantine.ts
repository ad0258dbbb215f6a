/**
 * The quarantine of the whole cluster: one command sets events aside in every region that answers, and returns those it did not
 * reach.
 *
 * Only events that a region holds and no region has applied may be set aside: state is a function of the position and of this
 * set, so an event in one region's state must not be missing in another's. A repeated command does what is left to do.
 */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import type { Log } from '../../../shared/observe/log.ts';
import { sequenceOf } from '../../../shared/protocol/position.ts';
import type { QuarantinedRange } from '../../../shared/protocol/quarantine.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';
import type { RegionLinks } from '../links/links.ts';
import type { ClusterQuarantine, RegionsView } from './cluster.ts';

export interface ClusterQuarantineOptions {
  readonly links: RegionLinks;
  readonly regions: RegionsView;
  readonly log: Log;
}

export function createClusterQuarantine({ links, regions, log }: ClusterQuarantineOptions): ClusterQuarantine {
  const askAll = async (): Promise<ReadonlyMap<string, RegionView | undefined>> => {
    const names = [...links.keys()];
    const asked = await Promise.all(names.map((name) => regions.ask(name)));
    return new Map(names.map((name, index) => [name, asked[index]]));
  };

  return {
    async add(range) {
      const { origin, first, last } = range;
      const answers = await askAll();
      let isHeld = false;
      for (const [name, known] of answers) {
        const isAside = known?.status.quarantined?.split(',').some((text) => covers(text, range)) === true;
        if (known === undefined) continue;
        isHeld ||= isAside || sequenceOf(known.status.durable, origin) >= last;
        if (isAside || sequenceOf(known.status.applied, origin) < first) continue;
        throw new Refusal('event_applied', `${name} has applied ${origin}:${first}: it applied`, {
          hint: 'only events that no region has applied can be quarantined; a region that cannot apply it needs another version of the program',
        });
      }
      if (!isHeld) throw new Refusal('unknown_event', `no region that answers holds ${origin}:${last}`);
      const done: string[] = [];
      const missed: Record<string, string> = {};
      await Promise.all(
        [...links.values()].map(async (link) => {
          if (answers.get(link.region) === undefined) {
            missed[link.region] = 'does not answer';
            return;
          }
          try {
            await link.quarantine(range);
            done.push(link.region);
          } catch (error) {
            missed[link.region] = messageOf(error);
          }
        }),
      );
      for (const name of done) await regions.ask(name);
      log.warn('events quarantined', { ...range, regions: done, missed });
      const inOrder = [...links.keys()].filter((name) => done.includes(name));
      return { origin, sequence: first, last, regions: inOrder, not_reached: missed };
    },

    async list() {
      const answers = await askAll();
      const here = [...answers].flatMap(([name, known]) =>
        known === undefined ? [] : [[name, known.status.quarantined ?? ''] as const],
      );
      const missing = [...answers].flatMap(([name, known]) => (known === undefined ? [name] : []));
      const isSame = new Set(here.map(([, text]) => text)).size <= 1;
      return {
        regions: Object.fromEntries(here.map(([name, text]) => [name, text === '' ? [] : text.split(',')])),
        same: !isSame ? false : missing.length > 0 ? null : true,
        not_reached: missing,
      };
    },
  };
}

/** `text`: one range, in the format of `Quarantine.text`. */
function covers(text: string, { origin, first, last }: QuarantinedRange): boolean {
  const colon = text.lastIndexOf(':');
  const [from = '', to = ''] = text.slice(colon + 1).split('-');
  return text.slice(0, colon) === origin && Number(from) <= first && Number(to) >= last;
}
