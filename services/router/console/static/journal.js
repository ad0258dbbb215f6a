/** The journal: what happened to the cluster, the newest first. */
import { AskError, ask } from './api.js';
import { byId, counted, element } from './dom.js';

/** @typedef {import('../../../../shared/client/cluster-types.ts').JournalEntry} Entry */

const list = byId('journal-list', HTMLElement);
const LIMIT = 50;

/** The newest entry that is shown. */
let shown = -1;
let isBusy = false;

/** @param {number} newest The id of the newest entry there is. */
export async function showJournal(newest) {
  if (newest === shown || isBusy) return;
  isBusy = true;
  try {
    /** @type {{ readonly events: readonly Entry[] }} */
    const { events } = await ask(`/cluster/events?limit=${LIMIT}`);
    list.replaceChildren(...events.map(lineOf));
    if (events.length === 0) list.replaceChildren(element('li', {}, 'Nothing has happened yet.'));
    shown = newest;
  } catch (error) {
    // It is asked again with the next event of the stream.
    if (!(error instanceof AskError)) throw error;
  } finally {
    isBusy = false;
  }
}

/** @param {Entry} entry */
function lineOf(entry) {
  const asked =
    entry.key === undefined
      ? ''
      : entry.key === null
        ? ' Asked for by an operator.'
        : ` Asked for with the key ${entry.key}.`;
  const time = element('time', { datetime: entry.at }, new Date(entry.at).toLocaleString());
  return element('li', {}, time, ` ${sentenceOf(entry)}${asked}`);
}

/** @param {Entry} entry */
function sentenceOf({ kind, region = '', previous, epoch, how, left_behind, heal_at, version, what }) {
  switch (kind) {
    case 'leader_changed': {
      const former = previous === undefined ? '' : `, before it ${previous}`;
      const behind = left_behind === undefined ? '' : `, ${counted(left_behind, 'event')} left behind`;
      return `${region} leads in epoch ${epoch}${former}${how === undefined ? '' : ` (${how})`}${behind}.`;
    }
    case 'partitioned':
      return `${region} was partitioned${heal_at === undefined ? ', without a deadline' : ` until ${new Date(heal_at).toLocaleTimeString()}`}.`;
    case 'healed':
      return `${region} was healed.`;
    case 'region_started':
      return `${region} started${version === undefined ? '' : `, program ${version}`}.`;
    case 'merge_ended':
      return 'Every region has what the former leader had accepted.';
    case 'disk_retired':
      return `The disk ${what} was retired.`;
    case 'event_set_aside':
      return `${what} was set aside.`;
    default:
      return [kind, region, what].filter((part) => part !== undefined && part !== '').join(' ');
  }
}
