/** The classes as a tree: chosen, ordered and nested by keys and by dragging. */
import { make, register, t, toast } from '../app.js';
import { openChange } from './class_changes.js';
import { byId, complain, current, freshColour, freshId, on, select, state } from './class_draft.js';
import { below, indented, moved, nested, rowsOf } from './rulebook.js';

const tree = byId('class-tree');
const closed = new Set();
const visible = () => {
  const hidden = new Set();
  for (const id of closed) below(state.draft.classes, id).forEach((child) => hidden.add(child));
  return rowsOf(state.draft.classes).filter(({ cls }) => !hidden.has(cls.id));
};

function show() {
  const { draft, chosen, wrong } = state;
  const had = tree.contains(document.activeElement);
  const parents = new Set(draft.classes.map((cls) => cls.parent));
  const rows = visible();
  const stop = rows.some(({ cls }) => cls.id === chosen) ? chosen : rows[0]?.cls.id;
  tree.replaceChildren(...rows.map(({ cls, depth }) => {
    const row = byId('class-row').content.firstElementChild.cloneNode(true);
    row.dataset.id = cls.id;
    row.style.setProperty('--depth', String(Math.min(depth, 8)));
    row.setAttribute('aria-level', String(depth + 1));
    row.setAttribute('aria-selected', String(cls.id === chosen));
    row.tabIndex = cls.id === stop ? 0 : -1;
    if (parents.has(cls.id)) row.setAttribute('aria-expanded', String(!closed.has(cls.id)));
    const bad = wrong.classes.has(cls.id);
    row.classList.toggle('bad', bad);
    row.querySelector('.bad-mark').toggleAttribute('hidden', !bad);
    row.querySelector('.swt').dataset.colour = cls.colour;
    row.querySelector('b').textContent = cls.name || '…';
    row.querySelector('b').title = cls.name;
    row.querySelector('.cid').textContent = t('id', { n: cls.id });
    if (cls.shortcut) row.querySelector('.kk').append(make('kbd', { class: 'kbd' }, cls.shortcut.toUpperCase()));
    row.querySelector('.pr').textContent = String(cls.priority);
    return row;
  }));
  byId('class-count').textContent = String(draft.classes.length);
  byId('no-classes').hidden = draft.classes.length > 0;
  tree.hidden = !draft.classes.length;
  if (had) tree.querySelector('[tabindex="0"]')?.focus();
}
function focus(id) {
  for (let cls = state.draft.classes.find((c) => c.id === id); cls?.parent; cls = state.draft.classes.find((c) => c.id === cls.parent)) {
    if (!closed.delete(cls.parent)) break;
  }
  select(id);
  tree.querySelector('[aria-selected=true]')?.focus();
}
function say(text) {
  byId('tree-said').textContent = text;
}

// ---- order and parents, by keys
function move(id, target, after) {
  state.draft.classes = moved(state.draft.classes, id, target, after);
  focus(id);
  say(t('moved', { name: current().name, n: current().priority }));
}
function nest(next, id) {
  if (next === state.draft.classes) return;
  state.draft.classes = next;
  focus(id);
  const parent = next.find((cls) => cls.id === current().parent);
  say(parent ? t('nested', { name: current().name, parent: parent.name }) : t('unnested', { name: current().name }));
}
tree?.addEventListener('click', (event) => {
  const row = event.target.closest('[data-id]');
  if (!row) return;
  const id = Number(row.dataset.id);
  if (event.target.closest('.tw') && row.hasAttribute('aria-expanded')) fold(id, !closed.has(id));
  else focus(id);
});
function fold(id, close) {
  close ? closed.add(id) : closed.delete(id);
  focus(id);
}
tree?.addEventListener('keydown', (event) => {
  const { draft, chosen } = state;
  const rows = visible().map((row) => row.cls);
  const here = rows.findIndex((cls) => cls.id === chosen);
  const cls = current();
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const parent = cls && draft.classes.some((other) => other.parent === cls.id);
  if (event.altKey && step) {
    const peers = rowsOf(draft.classes).map((row) => row.cls).filter((other) => (other.parent ?? null) === (cls.parent ?? null));
    const other = peers[peers.indexOf(cls) + step];
    if (other) move(chosen, other.id, step > 0);
  } else if (event.altKey && side) nest(indented(draft.classes, chosen, side), chosen);
  else if (step) focus(rows[Math.min(rows.length - 1, Math.max(0, here + step))].id);
  else if (side === 1 && parent && closed.has(chosen)) fold(chosen, false);
  else if (side === 1 && parent) focus(rows[here + 1].id);
  else if (side === -1 && parent && !closed.has(chosen)) fold(chosen, true);
  else if (side === -1 && cls?.parent) focus(cls.parent);
  else if (event.key === 'Home' || event.key === 'End') focus(rows[event.key === 'Home' ? 0 : rows.length - 1].id);
  else if (event.key === 'Delete') remove();
  else if (event.key === 'Enter') byId('f-name').select();
  else if (!side) return;
  event.preventDefault();
});

// ---- by dragging: before a class, after it, or onto it
let dragged = null;
const MARKS = ['drop-before', 'drop-after', 'drop-into'];
const clear = () => tree.querySelectorAll('.from,.drop-before,.drop-after,.drop-into').forEach((row) => row.classList.remove('from', ...MARKS));
function markOf(row, event) {
  const part = (event.clientY - row.getBoundingClientRect().top) / row.offsetHeight;
  return part < 0.3 ? 'drop-before' : part > 0.7 ? 'drop-after' : 'drop-into';
}
tree?.addEventListener('dragstart', (event) => {
  const row = event.target.closest('[data-id]');
  if (!row) return;
  dragged = Number(row.dataset.id);
  event.dataTransfer.effectAllowed = 'move';
  event.dataTransfer.setData('text/plain', row.dataset.id);
  row.classList.add('from');
});
tree?.addEventListener('dragover', (event) => {
  const row = event.target.closest('[data-id]');
  if (dragged === null || !row) return;
  event.preventDefault();
  tree.querySelectorAll('[data-id]').forEach((other) => other.classList.remove(...MARKS));
  if (Number(row.dataset.id) !== dragged) row.classList.add(markOf(row, event));
});
tree?.addEventListener('drop', (event) => {
  const row = event.target.closest('[data-id]');
  if (dragged === null || !row) return;
  event.preventDefault();
  const target = Number(row.dataset.id);
  const mark = markOf(row, event);
  if (mark === 'drop-into') nest(nested(state.draft.classes, dragged, target), dragged);
  else move(dragged, target, mark === 'drop-after');
});
tree?.addEventListener('dragend', () => {
  dragged = null;
  clear();
});

// ---- classes come and go
register('add-class', () => {
  const { draft } = state;
  const id = freshId();
  const taken = new Set(draft.classes.map((cls) => cls.shortcut));
  const top = Math.max(0, ...draft.classes.map((cls) => cls.priority || 0));
  draft.classes.push({ id, name: t('new_class', { n: id }), colour: freshColour(), priority: top + 10, parent: null, shortcut: [...'1234567890'].find((key) => !taken.has(key)) ?? '', value: null, attributes: [] });
  select(id);
  byId('f-name').select();
});
register('duplicate-class', () => {
  const id = freshId();
  state.draft.classes.push({ ...structuredClone(current()), id, name: t('copy_of', { name: current().name }), shortcut: '', value: null, colour: freshColour() });
  select(id);
  byId('f-name').select();
});
/** A class that no region has goes from the draft; one in use is counted first, and asked about. */
function remove() {
  const cls = current();
  if (!cls) return undefined;
  if (state.usage[cls.id]) return openChange('delete', cls.id);
  complain();
  const before = structuredClone(state.draft);
  const rows = rowsOf(state.draft.classes).map((row) => row.cls.id);
  state.draft.classes = state.draft.classes.filter((other) => other.id !== cls.id);
  state.draft.classes.forEach((other) => { if (other.parent === cls.id) other.parent = cls.parent; });
  state.draft.rules = state.draft.rules.filter((rule) => rule.class_id !== cls.id);
  const at = rows.indexOf(cls.id);
  const next = rows[at + 1] ?? rows[at - 1] ?? null;
  next === null ? select(null) : focus(next);
  toast(t('deleted', { name: cls.name }), { undo: () => { state.draft = before; focus(cls.id); } });
  return undefined;
}
register('delete-class', remove);
if (state.draft) on('draft', show);
