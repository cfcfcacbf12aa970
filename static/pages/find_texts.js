/** Rows of the auto-label dialog for engines that look for words: a class of the template, and what it is called. */
import { make, t } from '../app.js';

/** → {node, text} of one class; an empty text leaves the class out. `text` is asked for as it is written then. */
function row(cls) {
  const field = make('input', { class: 'inp sm', value: cls.name, maxlength: '200', autocomplete: 'off', 'aria-label': t('al_words', { name: cls.name }) });
  const swatch = make('span', { class: 'swt', 'aria-hidden': 'true' });
  swatch.dataset.colour = cls.colour;
  const note = make('span', { class: 'f t1 nw' });
  const show = () => {
    const empty = !field.value.trim();
    swatch.classList.toggle('none', empty);
    note.textContent = empty ? t('al_not_looked') : '';
  };
  field.addEventListener('input', show);
  show();
  return { node: make('li', {}, make('b', { class: 'tr', title: cls.name }, cls.name), swatch, field, note), cls, field };
}

/** One row for each class. → {nodes, some(), texts()} */
export function textRows(classes) {
  const rows = classes.map(row);
  const texts = () => rows.map(({ cls, field }) => ({ text: field.value.trim(), class_id: cls.id })).filter(({ text }) => text);
  return { nodes: rows.map(({ node }) => node), some: () => texts().length > 0, texts };
}
