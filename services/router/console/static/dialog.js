/** Asks before anything is done: a dialog says what will happen, and has the fields that the action needs. */
import { byId, element } from './dom.js';

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} confirm The word on the button.
 * @property {readonly Field[]} [fields]
 * @property {(values: Values) => readonly string[]} sentences What will happen, with these values.
 */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {'checkbox' | 'minutes'} kind
 * @property {number} [value]
 */

/** @typedef {Readonly<Record<string, number | boolean>>} Values Minutes as entered, checkboxes as true or false. */

const dialog = byId('ask', HTMLDialogElement);
const form = byId('ask-form', HTMLFormElement);
const title = byId('ask-title', HTMLElement);
const text = byId('ask-text', HTMLElement);
const fieldset = byId('ask-fields', HTMLElement);
const confirm = byId('ask-confirm', HTMLButtonElement);

/** @type {((values: Values | undefined) => void) | undefined} */
let answer;

/**
 * @param {Question} question
 * @returns {Promise<Values | undefined>} Undefined: cancelled.
 */
export function askBefore({ title: name, confirm: word, fields = [], sentences }) {
  answer?.(undefined);
  title.textContent = name;
  confirm.textContent = word;
  fieldset.replaceChildren(...fields.map(fieldOf));
  const show = () => text.replaceChildren(...sentences(valuesOf(fields)).map((each) => element('p', {}, each)));
  fieldset.oninput = show;
  show();
  dialog.showModal();
  return new Promise((resolve) => {
    answer = (values) => {
      answer = undefined;
      resolve(values);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      const values = valuesOf(fields);
      answer?.(values);
      dialog.close();
    };
  });
}

byId('ask-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close());
// Escape closes it as well.
dialog.addEventListener('close', () => answer?.(undefined));

/** @param {Field} field */
function fieldOf({ name, label, kind, value }) {
  const id = `ask-${name}`;
  const caption = element('label', { for: id }, label);
  if (kind === 'checkbox') return element('p', { class: 'check' }, element('input', { id, type: 'checkbox' }), caption);
  const minutes = { type: 'number', min: '0.1', max: '1440', step: '0.1', required: '', value: String(value ?? 5) };
  return element('p', {}, caption, element('input', { id, ...minutes }));
}

/**
 * @param {readonly Field[]} fields
 * @returns {Values}
 */
function valuesOf(fields) {
  return Object.fromEntries(
    fields.map(({ name, kind }) => {
      const input = byId(`ask-${name}`, HTMLInputElement);
      return [name, kind === 'checkbox' ? input.checked : input.valueAsNumber];
    }),
  );
}
