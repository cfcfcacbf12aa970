/** The mapping rules: what a name, a value or a colour of imported ground truth becomes. */
import { count, icon, make, register, t } from '../app.js';
import { byId, nameOf, on, state, touch } from './class_draft.js';
import { errorLine, mark } from './class_editor.js';
import { chainOf, rowsOf } from './rulebook.js';

/** More rows than this are found by the filter. */
const SHOWN = 200;
const body = byId('rules');
/** What the rows stand for: they are made anew when the rules are others, or another number. */
let shown = { rules: null, length: 0 };

/** Rows anew, for another number of rules, another filter or other classes. */
function showRows() {
  const { rules, classes } = state.draft;
  shown = { rules, length: rules.length };
  const wanted = byId('rule-filter').value.trim().toLowerCase();
  const all = rules.map((rule, i) => ({ rule, i }))
    .filter(({ rule }) => !wanted || rule.key.toLowerCase().includes(wanted) || (rule.class_id && nameOf(rule.class_id).toLowerCase().includes(wanted)));
  const named = rowsOf(classes).map((row) => row.cls);
  body.replaceChildren(...all.slice(0, SHOWN).map(({ rule, i }) => {
    const row = byId('rule-row').content.firstElementChild.cloneNode(true);
    row.dataset.at = i;
    row.querySelector('[data-key=kind]').value = rule.kind;
    row.querySelector('[data-key=key]').value = rule.key;
    const select = row.querySelector('[data-key=class_id]');
    select.append(...named.map((cls) => new Option(cls.name, cls.id)));
    if (rule.class_id && !named.some((cls) => cls.id === rule.class_id)) select.append(new Option(t('id', { n: rule.class_id }), rule.class_id));
    select.value = rule.class_id ?? '';
    return row;
  }));
  const left = all.length - Math.min(all.length, SHOWN);
  byId('rule-more').textContent = left ? t('rules_more', { n: count(left) }) : '';
  byId('rule-search').hidden = rules.length <= 12;
  byId('no-rules').hidden = rules.length > 0;
  byId('rule-table').hidden = !rules.length;
  showResults();
}
/** What each rule comes to and what is wrong with it, while its fields are typed in. */
function showResults() {
  const { rules, classes } = state.draft;
  byId('rule-count').textContent = t('rules', { n: rules.length });
  for (const row of body.children) {
    const i = Number(row.dataset.at);
    const rule = rules[i];
    const wrong = state.wrong.rules.get(i);
    const key = row.querySelector('[data-key=key]');
    key.inputMode = rule.kind === 'value' ? 'numeric' : 'text';
    key.placeholder = { name: t('key_name'), value: '7', colour: '#804080' }[rule.kind];
    mark(key, wrong);
    row.querySelector('.err-slot').replaceChildren(...(wrong ? [errorLine(...wrong)] : []));
    const swatch = row.querySelector('.key-swatch');
    swatch.hidden = rule.kind !== 'colour' || !/^#[0-9a-f]{6}$/.test(rule.key);
    if (!swatch.hidden) swatch.dataset.colour = rule.key;
    row.querySelector('.result').replaceChildren(...(wrong ? [] : resultOf(chainOf(classes, rules, rule))));
  }
}
function resultOf(chain) {
  const last = chain.at(-1);
  if (chain.indexOf(last) < chain.length - 1) return []; // it leads into what is marked elsewhere
  const via = chain.length > 1 ? t('via', { names: chain.slice(0, -1).map(nameOf).join(' → ') }) : '';
  if (!last) return [icon('eyeoff', 's'), make('span', {}, t('ignored')), make('span', { class: 'f tr' }, via)];
  const cls = state.draft.classes.find((c) => c.id === last);
  return [make('span', { class: 'swt', 'data-colour': cls.colour }), make('span', { class: 'tr', title: cls.name }, cls.name), make('span', { class: 'f tr', title: via }, via)];
}

const KEYS = {
  kind: (rule, value) => ({ ...rule, kind: value }),
  key: (rule, value) => ({ ...rule, key: rule.kind === 'name' ? value.replace(/\s+/g, ' ').trim() : value.trim().toLowerCase() }),
  class_id: (rule, value) => ({ ...rule, class_id: value ? Number(value) : null }),
};
body?.addEventListener('input', (event) => {
  const row = event.target.closest('[data-at]');
  const change = row && KEYS[event.target.dataset.key];
  if (!change) return;
  const { rules } = state.draft;
  const i = Number(row.dataset.at);
  rules[i] = change(rules[i], event.target.value);
  touch();
});
function add(at = state.draft.rules.length) {
  const before = state.draft.rules[at - 1];
  byId('rule-filter').value = '';
  state.draft.rules.splice(at, 0, { kind: before?.kind ?? 'name', key: '', class_id: before ? before.class_id : rowsOf(state.draft.classes)[0]?.cls.id ?? null });
  touch();
  focusRule(at);
}
export function focusRule(at) {
  if (!body.querySelector(`[data-at="${at}"]`)) {
    byId('rule-filter').value = state.draft.rules[at]?.key ?? '';
    showRows();
  }
  body.querySelector(`[data-at="${at}"] [data-key=key]`)?.focus();
}
register('add-rule', () => add());
register('delete-rule', (button) => remove(Number(button.closest('[data-at]').dataset.at)));
function remove(at) {
  state.draft.rules.splice(at, 1);
  touch();
  if (state.draft.rules.length) focusRule(Math.min(at, state.draft.rules.length - 1));
  else byId('add-rule').focus();
}
body?.addEventListener('keydown', (event) => {
  const row = event.target.closest('[data-at]');
  if (!row || event.target.dataset.key !== 'key') return;
  const at = Number(row.dataset.at);
  if (event.key === 'Enter') add(at + 1);
  else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') row[event.key === 'ArrowDown' ? 'nextElementSibling' : 'previousElementSibling']?.querySelector('[data-key=key]').focus();
  else if (event.key === 'Delete' && event.altKey) remove(at);
  else return;
  event.preventDefault();
});
byId('rule-filter')?.addEventListener('input', showRows);

if (state.draft) {
  on('chosen', showRows);
  on('draft', () => (shown.rules === state.draft.rules && shown.length === shown.rules.length ? showResults() : showRows()));
  // Names typed in the class form show in the choices once they are finished.
  byId('editor').addEventListener('change', showRows);
}
