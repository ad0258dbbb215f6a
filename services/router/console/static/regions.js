/** One card a region: what it is, how far behind, its lag over the last 15 minutes, and what can be done with it. */
import { heal, partition, promote } from './actions.js';
import { byId, counted, durationOf, element, replaceIfOther, setFacts, setText } from './dom.js';
import { Plot } from './plots.js';

/**
 * @typedef {import('../../../../shared/client/cluster-types.ts').StatusAnswer} Status
 * @typedef {import('../../../../shared/client/cluster-types.ts').RegionReport} Region
 */

const list = byId('regions', HTMLElement);

/** @type {Map<string, Card>} */
const cards = new Map();

class Card {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.state = element('p', { class: 'state' });
    this.facts = element('dl', { class: 'facts' });
    this.healing = element('div');
    this.events = new Plot('Lag in events', [name]);
    this.seconds = new Plot('Lag in seconds', [name]);
    this.partitionButton = this.button('Partition', partition);
    this.healButton = this.button('Heal', heal);
    this.promoteButton = this.button('Promote', promote);
    this.root = element(
      'li',
      {},
      element('h3', {}, name),
      this.state,
      this.facts,
      this.healing,
      element('div', { class: 'buttons' }, this.partitionButton, this.healButton, this.promoteButton),
      this.events.root,
      this.seconds.root,
    );
  }

  /**
   * @param {string} word
   * @param {(region: Region, status: Status) => Promise<void>} act
   */
  button(word, act) {
    const made = element('button', { type: 'button' }, `${word} ${this.name}…`);
    made.addEventListener('click', () => {
      if (made.getAttribute('aria-disabled') === 'true' || this.region === undefined || this.status === undefined)
        return;
      void act(this.region, this.status);
    });
    return made;
  }

  /**
   * @param {Region} region
   * @param {Status} status
   * @param {number} nowMs
   */
  show(region, status, nowMs) {
    this.region = region;
    this.status = status;
    const [text, kind] = stateOf(region);
    setText(this.state, text);
    this.state.className = `state ${kind}`;
    setFacts(this.facts, [
      ['Role', region.role],
      ['Lag', counted(region.lag_events, 'event'), (region.lag_events ?? 0) > 0 ? 'warn' : ''],
      ['Behind by', region.lag_seconds === null ? 'unknown' : durationOf(region.lag_seconds)],
      ['Applied', counted(region.applied_events, 'event')],
      ['Not at the leader', counted(region.ahead_events, 'event')],
      ['Not shipped yet', counted(region.unshipped_events, 'event')],
      ['Program', region.version ?? 'unknown'],
    ]);
    this.showHealing(region, nowMs);
    const isPartitioned = region.partitioned === true;
    disable(this.partitionButton, region.reachable ? '' : 'it does not answer');
    disable(this.healButton, isPartitioned ? '' : 'it is not partitioned');
    disable(this.promoteButton, region.role === 'leader' ? 'it leads already' : '');
  }

  /**
   * @param {Region} region
   * @param {number} nowMs
   */
  showHealing({ partitioned, heal_at }, nowMs) {
    if (partitioned !== true || heal_at === undefined) {
      const endless = 'It has no deadline: it stays partitioned until it is healed.';
      replaceIfOther(this.healing, String(partitioned), () =>
        partitioned === true ? [element('p', { class: 'warn' }, endless)] : [],
      );
      return;
    }
    const healMs = Date.parse(heal_at);
    replaceIfOther(this.healing, heal_at, () => {
      const total = Math.max(1, healMs - nowMs);
      const bar = element('progress', { max: String(total), value: '0', 'aria-label': `Partition of ${this.name}` });
      return [bar, element('p', { class: 'muted' })];
    });
    const [bar, left] = [this.healing.querySelector('progress'), this.healing.querySelector('p')];
    if (bar !== null) bar.value = bar.max - Math.max(0, healMs - nowMs);
    if (left !== null) setText(left, `It heals itself in ${durationOf((healMs - nowMs) / 1000)}.`);
  }
}

/**
 * It stays in the order of the keyboard, and says why.
 *
 * @param {HTMLButtonElement} button
 * @param {string} why Empty: it is not disabled.
 */
export function disable(button, why) {
  button.setAttribute('aria-disabled', String(why !== ''));
  if (why === '') button.removeAttribute('title');
  else button.title = `Not possible: ${why}`;
}

/**
 * @param {Region} region
 * @returns {[text: string, kind: 'good' | 'warn' | 'bad']}
 */
function stateOf({ role, reachable, ready, partitioned, lag_events, stopped, refused }) {
  if (!reachable) return ['Does not answer: its numbers are the last known ones', 'bad'];
  if (stopped !== undefined) return [`Has stopped taking some events: ${stopped.detail}`, 'bad'];
  if (partitioned === true) return [role === 'leader' ? 'Leads, partitioned' : 'Partitioned', 'warn'];
  if (!ready) return ['Not ready', 'warn'];
  if (refused !== undefined) return [`Refuses messages of the stream: ${refused.detail}`, 'warn'];
  if (role === 'leader') return ['Leads', 'good'];
  return (lag_events ?? 0) > 0 ? ['Catching up', 'warn'] : ['Up to date', 'good'];
}

/**
 * @param {Status} status
 * @param {number} nowMs By the router's clock.
 * @param {import('./past.js').Past} past
 */
export function showRegions(status, nowMs, past) {
  const names = status.regions.map(({ name }) => name);
  replaceIfOther(list, names.join('\n'), () => {
    cards.clear();
    for (const name of names) cards.set(name, new Card(name));
    return [...cards.values()].map(({ root }) => root);
  });
  for (const region of status.regions) {
    const card = cards.get(region.name);
    if (card === undefined) continue;
    card.show(region, status, nowMs);
    card.events.show([past.series(({ lags }) => lags[region.name]?.events)]);
    card.seconds.show([past.series(({ lags }) => lags[region.name]?.seconds)]);
  }
}

/** Without the scope for the status: what there would be. */
export function showNoRegions() {
  replaceIfOther(list, '', () => [
    element(
      'li',
      {},
      element('p', {}, 'Regions, their lag and the journal are shown with a key that has the scope admin.'),
      element(
        'div',
        { class: 'buttons' },
        ...['Partition…', 'Heal…', 'Promote…'].map((word) =>
          element(
            'button',
            { type: 'button', 'aria-disabled': 'true', 'aria-describedby': 'scope' },
            `${word} (scope admin)`,
          ),
        ),
      ),
    ),
  ]);
}
