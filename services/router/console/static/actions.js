/** What an operator can do: each action asks first, then calls the public surface and says what came of it. */
import { AskError, ask } from './api.js';
import { askBefore } from './dialog.js';
import { announce, byId, counted, durationOf, element, timeOf } from './dom.js';

/**
 * @typedef {import('../../../../shared/client/cluster-types.ts').StatusAnswer} Status
 * @typedef {import('../../../../shared/client/cluster-types.ts').RegionReport} Region
 */

const KEPT_RESULTS = 6;
const results = byId('result-list', HTMLElement);

/**
 * @param {string} doing
 * @param {() => Promise<string>} act
 */
async function report(doing, act) {
  const line = element('li', {}, `${doing}…`);
  results.prepend(line);
  while (results.children.length > KEPT_RESULTS) results.lastElementChild?.remove();
  announce(`${doing}…`);
  let text = '';
  let kind = 'good';
  try {
    text = await act();
  } catch (error) {
    text = failureOf(doing, error);
    kind = 'bad';
  }
  line.textContent = `${timeOf(Date.now())} ${text}`;
  line.className = kind;
  announce(text);
}

/**
 * @param {string} doing
 * @param {unknown} error
 */
function failureOf(doing, error) {
  if (!(error instanceof AskError)) return `${doing}: ${error}`;
  if (error.status !== 0) return `${doing}: refused. ${error.sentence}`;
  return `${doing}: no answer. Whether it was done is not known; look at the state below.`;
}

/** @param {readonly string[] | undefined} names */
const listed = (names) => (names === undefined || names.length === 0 ? 'none' : names.join(', '));

/**
 * @param {Region} region
 * @param {Status} status
 */
export async function partition({ name, role }, status) {
  const values = await askBefore({
    title: `Partition ${name}?`,
    confirm: `Partition ${name}`,
    fields: [{ name: 'minutes', label: 'It heals itself after, minutes', kind: 'minutes', value: 5 }],
    sentences: ({ minutes }) => {
      const seconds = Number(minutes) * 60;
      const until = Number.isFinite(seconds)
        ? ` until ${timeOf(Date.now() + seconds * 1000)} (${durationOf(seconds)})`
        : '';
      const effect =
        role === 'leader'
          ? 'It still leads and accepts writes on its own disk, but no other region receives them before it heals: readers elsewhere see older data, and a loss of its disk would lose what it accepted meanwhile.'
          : `Writes are accepted by ${status.leader ?? 'the leader'} as before. Readers of ${name} see older and older data.`;
      return [
        `${name}, ${role === 'leader' ? 'the leader' : 'a follower'}, will neither receive nor ship events${until}.`,
        effect,
        'Then it heals itself, also if this page is closed. It can be healed earlier.',
      ];
    },
  });
  if (values === undefined) return;
  await report(`Partitioning ${name}`, async () => {
    const heal_after = Math.round(Number(values.minutes) * 60);
    const { heal_at } = await ask('/cluster/partition', { region: name, heal_after });
    return `${name} is partitioned until ${timeOf(heal_at)}.`;
  });
}

/** @param {Region} region */
export async function heal({ name, lag_events, ahead_events }) {
  const values = await askBefore({
    title: `Heal ${name}?`,
    confirm: `Heal ${name}`,
    sentences: () => [
      `${name} will receive and ship events again at once.`,
      `It lacks ${counted(lag_events, 'event')} of the leader, and has ${counted(ahead_events, 'event')} that the leader lacks. Both are exchanged; its readers see newer data within seconds.`,
    ],
  });
  if (values === undefined) return;
  await report(`Healing ${name}`, async () => {
    const { missed_events, caught_up_with, took_ms } = await ask('/cluster/heal', { region: name, wait: true });
    return `${name} is healed: ${counted(missed_events, 'event')} exchanged, the same as ${listed(caught_up_with)} after ${durationOf(took_ms / 1000)}.`;
  });
}

/**
 * @param {Region} region
 * @param {Status} status
 */
export async function promote({ name, lag_events }, status) {
  const former = status.leader ?? 'the present leader';
  const values = await askBefore({
    title: `Promote ${name}?`,
    confirm: `Promote ${name}`,
    fields: [{ name: 'force', label: `Forced: without asking ${former}`, kind: 'checkbox' }],
    sentences: ({ force }) => [
      `${name} will be the leader in a new epoch, in the place of ${former} (epoch ${status.epoch ?? 'unknown'}).`,
      force === true
        ? `${former} is not asked. What it has accepted and ${name} does not have (at least ${counted(lag_events, 'event')}, as last known) is missing until ${former} is back, and is merged then. For a leader that does not answer.`
        : `${former} stops accepting, ${name} takes what is missing (${counted(lag_events, 'event')} now), then accepts. Writes wait meanwhile, usually below a second; none is lost or refused.`,
    ],
  });
  if (values === undefined) return;
  await report(`Promoting ${name}`, async () => {
    const { leader, previous, epoch, took_ms } = await ask('/cluster/promote', {
      region: name,
      force: values.force === true,
    });
    return `${leader} leads in epoch ${epoch}, before it ${previous}. It took ${took_ms} ms.`;
  });
}

export async function verify() {
  const values = await askBefore({
    title: 'Verify all regions?',
    confirm: 'Verify',
    sentences: () => [
      'Every region counts its state at one position, and the counts are compared bit for bit.',
      'Nothing changes, and writes continue. It takes some seconds, up to half a minute with much data.',
    ],
  });
  if (values === undefined) return;
  await report('Verifying all regions', async () => {
    const { converged, digests, reason, took_ms } = await ask('/cluster/verify', {});
    if (converged === true) return `Verified in ${took_ms} ms: ${listed(Object.keys(digests))} have the same state.`;
    if (converged === false) return `Regions differ. ${reason}`;
    return `Verified nothing: it is unknown whether the regions are the same, because ${reason}.`;
  });
}

/** @param {Status} status */
export async function stopDrill(status) {
  const { drill, regions } = status;
  const partitioned = regions.filter((region) => region.partitioned === true).map(({ name }) => name);
  const values = await askBefore({
    title: 'Stop drills?',
    confirm: 'Stop drills',
    sentences: () => [
      `Every partitioned region is healed; now: ${listed(partitioned)}.`,
      drill === undefined
        ? 'No drill of a file is in progress.'
        : `The drill “${drill.title}” ends; the program that runs it learns of it within seconds and undoes the rest.`,
    ],
  });
  if (values === undefined) return;
  await report('Stopping drills', async () => {
    const { ended, healed, not_reached } = await ask('/cluster/drill/stop', {});
    const drillEnd = ended === null ? 'No drill was in progress' : `The drill “${ended.title}” was ended`;
    const rest = not_reached.length === 0 ? '' : ` Not reached: ${listed(not_reached)}.`;
    return `${drillEnd}; healed: ${listed(healed)}.${rest}`;
  });
}
