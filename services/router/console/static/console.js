/** The console: joins the stream of the router with the parts of the page. */
import { stopDrill, verify } from './actions.js';
import { AskError, problemOf, send, storedKey, storeKey } from './api.js';
import { compareAgain, offerRegions, startCompare } from './compare.js';
import { announce, byId, durationOf, element, replaceIfOther, setFacts, setText, timeOf } from './dom.js';
import { showJournal } from './journal.js';
import { Past } from './past.js';
import { Plot } from './plots.js';
import { disable, showNoRegions, showRegions } from './regions.js';
import { openStream } from './stream.js';

/**
 * @typedef {import('../../../../shared/client/cluster-types.ts').LiveNow} Now
 * @typedef {import('../../../../shared/client/cluster-types.ts').HealthAnswer} Health
 * @typedef {import('../../../../shared/client/cluster-types.ts').StatusAnswer} Status
 */

const HEALTH_MS = 3_000;

const connection = byId('connection', HTMLElement);
const content = byId('content', HTMLElement);
const signIn = byId('sign-in', HTMLElement);
const signInProblem = byId('sign-in-problem', HTMLElement);
const keyInput = byId('key', HTMLInputElement);
const signOut = byId('sign-out', HTMLButtonElement);
const facts = byId('facts', HTMLElement);
const notes = byId('notes', HTMLElement);
const drill = byId('drill', HTMLElement);
const scope = byId('scope', HTMLElement);
const verifyButton = byId('verify', HTMLButtonElement);
const stopDrillButton = byId('stop-drill', HTMLButtonElement);

const past = new Past();
const rates = new Plot('Rates of this router, a second', ['writes', 'reads']);
byId('rates', HTMLElement).append(rates.root);

/** @type {Status | undefined} */
let status;
let end = () => {};
/** What was said last to a screen reader. */
let said = '';

function connect() {
  end();
  signIn.hidden = true;
  signOut.hidden = storedKey() === null;
  setText(connection, 'Connecting…');
  end = openStream({
    onPast: (columns) => past.addPast(columns),
    onNow: show,
    onConnection(state, why) {
      if (state === 'connected') setText(connection, 'Live');
      else setText(connection, `Connection lost, trying again: what is shown is old. ${why?.sentence ?? ''}`);
    },
    onRefused(why) {
      if (why.status === 403) limited(why);
      else askForKey(why);
    },
  });
}

/** @param {AskError} why */
function askForKey(why) {
  const given = storedKey();
  storeKey(null);
  status = undefined;
  content.hidden = true;
  signIn.hidden = false;
  signOut.hidden = true;
  setText(connection, 'Not signed in');
  setText(signInProblem, given === null ? '' : why.sentence);
  keyInput.value = '';
  keyInput.focus();
}

/** @param {Now} now */
function show(now) {
  ({ status } = now);
  const nowMs = Date.parse(now.at);
  past.addNow(now);
  const state = `The cluster is ${now.health.status}, ${status.leader ?? 'no region'} leads.`;
  if (state !== said && said !== '') announce(state);
  said = state;
  content.hidden = false;
  scope.hidden = true;
  allow([verifyButton, 'Verify…'], [stopDrillButton, 'Stop drills…']);
  setFacts(facts, [
    ...healthFacts(now.health),
    ['Failover', status.failover],
    ['Stream', status.stream.connected ? 'connected' : 'not connected', status.stream.connected ? 'good' : 'bad'],
    ['Stream offset', status.stream.offset.toLocaleString()],
    ['Events at the leader', status.relay_log_len.toLocaleString()],
    ['Writes a second', now.writes_per_second.toLocaleString()],
    ['Reads a second', now.reads_per_second.toLocaleString()],
  ]);
  showNotes(now.health, status);
  showDrill(status, nowMs);
  rates.show([past.series(({ writes }) => writes), past.series(({ reads }) => reads)]);
  showRegions(status, nowMs, past);
  setText(byId('version', HTMLElement), `Version ${status.version}.`);
  const { leader, regions } = status;
  offerRegions(
    [...regions].sort((a, b) => Number(b.name === leader) - Number(a.name === leader)).map(({ name }) => name),
  );
  void showJournal(now.newest_event);
  compareAgain();
}

/**
 * @param {Health} health
 * @returns {(readonly [string, string, string?])[]}
 */
function healthFacts({ status: state, leader, epoch, items, regions }) {
  const kinds = { ok: 'good', degraded: 'warn', unavailable: 'bad' };
  return [
    [
      'State',
      state === 'ok' ? 'ok' : state === 'degraded' ? 'degraded: writes are accepted' : 'unavailable: no writes',
      kinds[state],
    ],
    ['Leader', leader ?? 'none known'],
    ['Epoch', epoch === null ? 'unknown' : String(epoch)],
    ['Items', items === null ? 'unknown' : items.toLocaleString()],
    ['Regions that answer', `${regions.reachable} of ${regions.total}`],
  ];
}

/**
 * @param {Health} health
 * @param {Status} [current]
 */
function showNotes({ notes: all }, current) {
  const disks = current?.absent_disks.map(({ disk, region }) => `the disk ${disk} of ${region} is absent`) ?? [];
  const lines = [...all, ...disks];
  replaceIfOther(notes, lines.join('\n'), () => [
    element('h3', {}, 'Notes'),
    lines.length === 0
      ? element('p', {}, 'Nothing to note.')
      : element('ul', {}, ...lines.map((line) => element('li', {}, line))),
  ]);
}

/**
 * @param {Status} current
 * @param {number} nowMs
 */
function showDrill({ drill: running, handover }, nowMs) {
  /** @type {string[]} */
  const lines = [];
  if (running !== undefined) {
    const { title, started_at } = running;
    lines.push(
      `The drill “${title}” has been in progress for ${durationOf((nowMs - Date.parse(started_at)) / 1000)}, since ${timeOf(started_at)}.`,
    );
  }
  if (handover !== undefined) lines.push(`Leadership is being handed over to ${handover.to}.`);
  replaceIfOther(drill, lines.join('\n'), () => lines.map((line) => element('p', { class: 'message warn' }, line)));
}

/** @param {...(readonly [HTMLButtonElement, string])} buttons */
function allow(...buttons) {
  for (const [button, text] of buttons) {
    disable(button, '');
    button.removeAttribute('aria-describedby');
    setText(button, text);
  }
}

/**
 * The key does not have the scope of the status: health, feeds and searches are left.
 *
 * @param {AskError} why
 */
function limited(why) {
  status = undefined;
  content.hidden = false;
  scope.hidden = false;
  setText(connection, 'Signed in, to read only');
  setText(scope, `Read only: ${why.sentence}`);
  for (const button of [verifyButton, stopDrillButton]) {
    disable(button, 'it needs the scope admin');
    button.setAttribute('aria-describedby', 'scope');
  }
  setText(verifyButton, 'Verify… (scope admin)');
  setText(stopDrillButton, 'Stop drills… (scope admin)');
  showNoRegions();
  byId('rates', HTMLElement).hidden = true;
  byId('journal', HTMLElement).hidden = true;
  const poll = async () => {
    try {
      const response = await send('/health');
      const isHealth = response.headers.get('content-type')?.startsWith('application/json') === true;
      if (!isHealth) throw await problemOf(response);
      /** @type {Health} */
      const health = await response.json();
      setFacts(facts, healthFacts(health));
      showNotes(health);
      if (health.leader !== null) offerRegions([health.leader]);
      setText(connection, 'Signed in, to read only');
      compareAgain();
    } catch (error) {
      if (!(error instanceof AskError)) throw error;
      setText(connection, `Connection lost, trying again: what is shown is old. ${error.sentence}`);
    }
  };
  void poll();
  const timer = setInterval(() => void poll(), HEALTH_MS);
  end = () => {
    clearInterval(timer);
    byId('rates', HTMLElement).hidden = false;
    byId('journal', HTMLElement).hidden = false;
  };
}

byId('sign-in-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  storeKey(keyInput.value.trim());
  keyInput.value = '';
  connect();
});
signOut.addEventListener('click', () => {
  storeKey(null);
  // Nothing of what the key has shown stays in the page.
  location.reload();
});
verifyButton.addEventListener('click', () => {
  if (status !== undefined) void verify();
});
stopDrillButton.addEventListener('click', () => {
  if (status !== undefined) void stopDrill(status);
});

startCompare();
connect();
