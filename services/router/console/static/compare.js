/** One feed or search, asked of several regions at the same time and shown side by side: what a lagging follower does not have yet. */
import { AskError, ask } from './api.js';
import { byId, counted, element, setText } from './dom.js';

const LIMIT = 10;
const TITLE_CHARACTERS = 80;
const profiles = [
  ...['trending', 'hot', 'new', 'top', 'best', 'rising', 'controversial', 'debated', 'hidden_gems'],
  ...['most_viewed', 'most_liked', 'shuffle'],
];

const form = byId('compare-form', HTMLFormElement);
const kind = byId('kind', HTMLSelectElement);
const profile = byId('profile', HTMLInputElement);
const query = byId('query', HTMLInputElement);
const where = byId('where', HTMLInputElement);
const again = byId('again', HTMLInputElement);
const summary = byId('compare-summary', HTMLElement);
const columns = byId('columns', HTMLElement);

let isBusy = false;
/** The names that this page has filled in: what was typed stays. */
let filledIn = '';

/**
 * @typedef {object} Answer
 * @property {string} region
 * @property {import('../../../../shared/client/api-types.ts').FeedAnswer} [value]
 * @property {AskError} [problem]
 */

export function startCompare() {
  byId('profiles', HTMLElement).append(...profiles.map((name) => element('option', { value: name })));
  kind.addEventListener('change', () => {
    const isSearch = kind.value === 'search';
    byId('profile-field', HTMLElement).hidden = isSearch;
    byId('query-field', HTMLElement).hidden = !isSearch;
    profile.required = !isSearch;
    query.required = isSearch;
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void compare();
  });
}

/** @param {readonly string[]} names The leader first. */
export function offerRegions(names) {
  if (where.value !== filledIn) return;
  filledIn = names.join(', ');
  where.value = filledIn;
}

/** Called with every event of the stream. */
export function compareAgain() {
  if (again.checked && form.checkValidity()) void compare();
}

async function compare() {
  if (isBusy) return;
  isBusy = true;
  try {
    const regions = [...new Set(where.value.split(/[\s,]+/).filter((name) => name !== ''))];
    /** @type {Record<string, string>} */
    const asked = kind.value === 'search' ? { query: query.value } : { profile: profile.value };
    const answers = await Promise.all(regions.map((region) => answerOf(region, asked)));
    show(answers);
  } finally {
    isBusy = false;
  }
}

/**
 * @param {string} region
 * @param {Readonly<Record<string, string>>} asked
 * @returns {Promise<Answer>}
 */
async function answerOf(region, asked) {
  const parameters = new URLSearchParams({ ...asked, region, limit: String(LIMIT) });
  try {
    return { region, value: await ask(`/${kind.value}?${parameters}`) };
  } catch (error) {
    if (error instanceof AskError) return { region, problem: error };
    throw error;
  }
}

/** @param {readonly Answer[]} answers */
function show(answers) {
  const reference = answers[0];
  const known = reference?.value?.items.map(({ entity_id }) => entity_id);
  const differing = answers.slice(1).filter(({ value }) => {
    const own = value?.items.map(({ entity_id }) => entity_id);
    return own !== undefined && known !== undefined && own.join() !== known.join();
  });
  columns.replaceChildren(...answers.map((answer) => columnOf(answer, answer === reference ? undefined : reference)));
  const failed = answers.filter(({ problem }) => problem !== undefined);
  setText(
    summary,
    failed.length > 0
      ? `${failed.map(({ region }) => region).join(', ')} did not answer.`
      : differing.length === 0
        ? `All ${answers.length} regions answer the same items in the same order.`
        : `${differing.map(({ region }) => region).join(', ')} ${differing.length === 1 ? 'answers' : 'answer'} other items than ${reference?.region}.`,
  );
}

/**
 * @param {Answer} answer
 * @param {Answer | undefined} reference
 */
function columnOf({ region, value, problem }, reference) {
  const title = element('h3', {}, region);
  if (value === undefined)
    return element('li', {}, title, element('p', { class: 'bad' }, problem?.sentence ?? 'No answer.'));
  const lag =
    value.lag_events === null
      ? 'its lag is unknown'
      : value.lag_events === 0
        ? 'no lag'
        : `lacks ${counted(value.lag_events, 'event')}`;
  const others = new Map(reference?.value?.items.map(({ entity_id, rank }) => [entity_id, rank]) ?? []);
  const items = value.items.map((item) =>
    itemOf(item, reference?.value === undefined ? undefined : others, reference?.region ?? ''),
  );
  const own = new Set(value.items.map(({ entity_id }) => entity_id));
  const missing = [...others.keys()].filter((id) => !own.has(id));
  return element(
    'li',
    {},
    title,
    element('p', { class: (value.lag_events ?? 0) > 0 ? 'warn' : 'muted' }, `${value.region}: ${lag}`),
    value.items.length === 0 ? element('p', {}, 'No items.') : element('ol', { class: 'items' }, ...items),
    ...(missing.length === 0
      ? []
      : [element('p', { class: 'warn' }, `Not here: ${missing.map((id) => `#${id}`).join(', ')}`)]),
  );
}

/**
 * @param {import('../../../../shared/client/api-types.ts').RankedItem} item
 * @param {ReadonlyMap<number, number> | undefined} others Ranks of the first column; undefined: this is the first.
 * @param {string} reference
 */
function itemOf({ entity_id, rank, score, metadata }, others, reference) {
  const title = typeof metadata.title === 'string' ? metadata.title : '';
  const name = title.length > TITLE_CHARACTERS ? `${title.slice(0, TITLE_CHARACTERS)}…` : title;
  const text = `#${entity_id} ${name} (${score.toLocaleString(undefined, { notation: 'compact', maximumSignificantDigits: 4 })})`;
  const there = others?.get(entity_id);
  if (others === undefined || there === rank) return element('li', {}, text);
  const note = there === undefined ? ` not at ${reference}` : ` at ${reference} ${there}.`;
  return element('li', { class: 'other' }, text, element('span', { class: 'warn' }, note));
}
