/** Elements of the page. Everything that is shown is set as text: nothing that is written to an item becomes markup. */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/**
 * Changes the text only if it is another one, so that a screen reader does not read it again.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** @type {WeakMap<HTMLElement, string>} */
const shown = new WeakMap();

/**
 * Shows what `key` stands for, unless it is shown already: what is focused or selected in it stays so.
 *
 * @param {HTMLElement} target
 * @param {string} key
 * @param {() => readonly (Node | string)[]} make
 */
export function replaceIfOther(target, key, make) {
  if (shown.get(target) === key) return;
  shown.set(target, key);
  target.replaceChildren(...make());
}

/**
 * The facts of a list of terms, whose elements stay from one time to the next.
 *
 * @param {HTMLElement} list
 * @param {readonly (readonly [term: string, text: string, kind?: string])[]} facts
 */
export function setFacts(list, facts) {
  replaceIfOther(list, facts.map(([term]) => term).join('\n'), () =>
    facts.map(([term]) => element('div', {}, element('dt', {}, term), element('dd'))),
  );
  for (const [index, [, text, kind = '']] of facts.entries()) {
    const value = list.children[index]?.querySelector('dd');
    if (value === null || value === undefined) continue;
    setText(value, text);
    value.className = kind;
  }
}

/**
 * Says it to a screen reader; it is seen elsewhere on the page.
 *
 * @param {string} text
 */
export function announce(text) {
  byId('announcement', HTMLElement).textContent = text;
}

/** @param {string | number} time */
export function timeOf(time) {
  return new Date(time).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** @param {number} seconds */
export function durationOf(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return whole % 60 === 0 ? `${whole / 60} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * @param {number | null | undefined} count
 * @param {string} one
 */
export function counted(count, one) {
  if (count === null || count === undefined) return 'unknown';
  return `${count.toLocaleString()} ${one}${count === 1 ? '' : 's'}`;
}
