/** The form of the chosen class: its fields, its colour as others see it, its attributes. */
import { icon, make, register, t } from '../app.js';
import { STREET, byId, current, edit, on, state } from './class_draft.js';
import { CLOSE, SIMULATIONS, difference, simulate } from './colour_vision.js';
import { attributeProblems, below, rowsOf } from './rulebook.js';

const FIELDS = ['name', 'parent', 'shortcut', 'priority', 'value', 'colour'];

function fill() {
  const cls = current();
  byId('editor').hidden = !cls;
  if (!cls) return;
  byId('f-name').value = cls.name;
  byId('f-shortcut').value = cls.shortcut.toUpperCase();
  byId('f-value').value = cls.value ?? '';
  byId('f-value').placeholder = String(cls.id);
  byId('f-colour').value = cls.colour;
  const n = state.usage[cls.id] ?? 0;
  byId('ed-usage').textContent = n ? t('used', { n }) : t('unused');
  for (const button of document.querySelectorAll('#editor [data-in-use]')) button.hidden = !n;
  showAttributes();
  show();
}
/** What follows from the draft, while the fields themselves are typed in. */
function show() {
  const cls = current();
  if (!cls) return;
  const { classes } = state.draft;
  if (document.activeElement !== byId('f-priority')) byId('f-priority').value = String(cls.priority);
  const lower = below(classes, cls.id);
  byId('f-parent').replaceChildren(new Option(t('no_parent'), ''), ...rowsOf(classes).map((row) => row.cls)
    .filter((other) => other.id !== cls.id && !lower.has(other.id)).map((other) => new Option(other.name, other.id)));
  byId('f-parent').value = cls.parent ?? '';
  byId('ed-name').textContent = cls.name;
  byId('ed-id').textContent = t('id', { n: cls.id });
  byId('ed-swatch').dataset.colour = cls.colour;
  if (/^#[0-9a-f]{6}$/.test(cls.colour)) {
    byId('f-well').value = cls.colour;
    showSight(cls, classes.filter((other) => other.id !== cls.id));
  }
  showErrors(cls);
}
function showSight(cls, others) {
  const sight = (kind) => (other) => difference(cls.colour, other.colour, kind);
  const nearest = others.length && Object.keys(SIMULATIONS).map((kind) => others.map((other) => ({ other, d: sight(kind)(other) })).sort((a, b) => a.d - b.d)[0]).sort((a, b) => a.d - b.d)[0].other;
  byId('cvd-lab').textContent = nearest ? t('nearest', { name: nearest.name }) : t('alone');
  byId('cvd').replaceChildren(...(nearest ? Object.keys(SIMULATIONS).map((kind) => {
    const close = sight(kind)(nearest) < CLOSE;
    return make('span', { class: close ? 'warnc' : '' }, make('span', { class: 'swt', 'data-colour': simulate(cls.colour, kind) }), make('span', { class: 'swt', 'data-colour': simulate(nearest.colour, kind) }), t(kind), close ? icon('warn', 's') : null, close ? make('span', { class: 'sr' }, t('close')) : null);
  }) : []));
}

export const errorLine = (key, args) => make('span', { class: 'err-line', role: 'alert' }, icon('err', 's'), t(key, args));
export function mark(input, bad) {
  bad ? input.setAttribute('aria-invalid', 'true') : input.removeAttribute('aria-invalid');
  input.closest('.inp')?.classList.toggle('bad', Boolean(bad));
}
function showErrors(cls) {
  const wrong = state.wrong.classes.get(cls.id) ?? {};
  for (const field of FIELDS) {
    const mine = wrong[field];
    byId(`e-${field}`).replaceChildren(...(mine ? [errorLine(...mine)] : []));
    mark(byId(`f-${field}`), mine);
  }
  const bad = attributeProblems(cls);
  byId('attributes').querySelectorAll('[data-at]').forEach((row) => {
    const mine = bad.get(Number(row.dataset.at));
    row.querySelector('.err-slot').replaceChildren(...(mine ? [errorLine(...mine)] : []));
  });
}

const INPUTS = {
  'f-name': (cls, input) => { cls.name = input.value.replace(/\s+/g, ' ').trimStart(); },
  'f-priority': (cls, input) => { cls.priority = input.value.trim() === '' ? Number.NaN : Number(input.value); },
  'f-value': (cls, input) => { cls.value = input.value.trim() === '' ? null : Number(input.value); },
  'f-colour': (cls, input) => { cls.colour = input.value.trim().toLowerCase(); },
  'f-well': (cls, input) => { byId('f-colour').value = cls.colour = input.value; },
  'f-parent': (cls, input) => { cls.parent = input.value ? Number(input.value) : null; },
};
byId('editor')?.addEventListener('input', (event) => {
  const run = INPUTS[event.target.id];
  if (run) edit((cls) => run(cls, event.target));
});
byId('f-name')?.addEventListener('change', () => edit((cls) => { cls.name = cls.name.trim(); }));
byId('f-shortcut')?.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || ['Tab', 'Enter', 'Escape'].includes(event.key)) return;
  event.preventDefault();
  if (event.key === 'Backspace' || event.key === 'Delete') edit((cls) => { cls.shortcut = ''; });
  else if ([...event.key].length === 1 && event.key !== ' ') edit((cls) => { cls.shortcut = event.key.toLowerCase(); });
  event.target.value = current().shortcut.toUpperCase();
});
byId('palette')?.append(...STREET.map((colour) => make('button', { type: 'button', class: 'swt', 'data-colour': colour, 'aria-label': colour, title: colour, onclick: () => edit((cls) => { byId('f-colour').value = cls.colour = colour; }) })));

// ---- attributes
function showAttributes() {
  const rows = (current().attributes ?? []).map((attribute, i) => {
    const row = byId('attribute-row').content.firstElementChild.cloneNode(true);
    row.dataset.at = i;
    const [name, kind, choices, value] = ['name', 'kind', 'choices', 'default'].map((key) => row.querySelector(`[data-key=${key}]`));
    name.value = attribute.name;
    kind.value = attribute.kind;
    choices.value = (attribute.choices ?? []).join(', ');
    choices.disabled = attribute.kind !== 'choice';
    value.value = attribute.default ?? '';
    return row;
  });
  byId('attributes').replaceChildren(...rows);
  byId('attribute-head').hidden = !rows.length;
}
const KEYS = {
  name: (attribute, input) => { attribute.name = input.value.replace(/\s+/g, ' ').trimStart(); },
  kind: (attribute, input) => {
    attribute.kind = input.value;
    if (input.value !== 'choice') attribute.choices = [];
  },
  choices: (attribute, input) => { attribute.choices = input.value.split(',').map((choice) => choice.replace(/\s+/g, ' ').trim()).filter(Boolean); },
  default: (attribute, input) => { attribute.default = input.value.trim(); },
};
byId('attributes')?.addEventListener('input', (event) => {
  const row = event.target.closest('[data-at]');
  const { key } = event.target.dataset;
  if (!row || !KEYS[key]) return;
  edit((cls) => KEYS[key](cls.attributes[Number(row.dataset.at)], event.target));
  if (key === 'kind') {
    const choices = row.querySelector('[data-key=choices]');
    choices.disabled = event.target.value !== 'choice';
    if (choices.disabled) choices.value = '';
  }
});
register('add-attribute', () => {
  edit((cls) => { cls.attributes = [...(cls.attributes ?? []), { name: '', kind: 'text', choices: [], default: '' }]; });
  showAttributes();
  show();
  byId('attributes').lastElementChild.querySelector('input').focus();
});
register('delete-attribute', (button) => {
  const at = Number(button.closest('[data-at]').dataset.at);
  edit((cls) => { cls.attributes.splice(at, 1); });
  showAttributes();
  show();
  (byId('attributes').children[Math.max(0, at - 1)]?.querySelector('input') ?? byId('add-attribute')).focus();
});

if (state.draft) {
  on('chosen', fill);
  on('draft', show);
}
