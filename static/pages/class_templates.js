/** The editor of a class template: a draft here, one revision on the server when it is saved. */
import { api, ask, icon, make, newId, problem, register, t, toast } from '../app.js';
import { CLOSE, SIMULATIONS, difference, simulate } from './colour_vision.js';
import { below, moved, problemsOf, rowsOf } from './rulebook.js';

const byId = (id) => document.getElementById(id);
const { template, usage } = JSON.parse(byId('draft-data').textContent);
const STREET = ['#73c1fe', '#ae5320', '#78ba53', '#8a5b9b', '#ffb9d0', '#c5b98e', '#1f8876', '#bb3acf', '#d7005c', '#fca300', '#eaf467', '#4f6bed'];
const FIELDS = ['name', 'parent', 'shortcut', 'priority', 'value', 'colour'];
const tree = byId('class-tree');

let draft = template ? { name: template.name, classes: structuredClone(template.classes) } : null;
let chosen = draft && rowsOf(draft.classes)[0]?.cls.id;
const saved = () => JSON.stringify({ name: template.name, classes: template.classes });
const changed = () => Boolean(draft) && JSON.stringify(draft) !== saved();
const current = () => draft.classes.find((cls) => cls.id === chosen) ?? null;

// ---- the list
function showTree() {
  const wrong = problemsOf(draft.classes);
  const had = tree.contains(document.activeElement);
  tree.replaceChildren(...rowsOf(draft.classes).map(({ cls, depth }) => {
    const row = byId('class-row').content.firstElementChild.cloneNode(true);
    row.dataset.id = cls.id;
    row.style.setProperty('--depth', String(Math.min(depth, 8)));
    row.setAttribute('aria-selected', String(cls.id === chosen));
    row.tabIndex = cls.id === chosen ? 0 : -1;
    row.classList.toggle('bad', wrong.has(cls.id));
    row.querySelector('.bad-mark').toggleAttribute('hidden', !wrong.has(cls.id));
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
  if (had) tree.querySelector('[aria-selected=true]')?.focus();
  const dirty = changed();
  byId('save').disabled = !dirty || wrong.size > 0 || !draft.name.trim();
  byId('discard').disabled = !dirty;
  byId('draft-state').replaceChildren(...(dirty ? [icon(wrong.size ? 'err' : 'pencil', 's'), wrong.size ? t('fix_first') : t('unsaved')] : [icon('check', 's'), t('saved')]));
  byId('draft-state').classList.toggle('errc', wrong.size > 0);
  showErrors(wrong.get(chosen) ?? {});
}

// ---- the editor
function showEditor() {
  const cls = current();
  byId('editor').hidden = !cls;
  if (!cls) return;
  byId('f-name').value = cls.name;
  byId('f-shortcut').value = cls.shortcut.toUpperCase();
  byId('f-priority').value = String(cls.priority);
  byId('f-value').value = cls.value ?? '';
  byId('f-value').placeholder = String(cls.id);
  byId('f-colour').value = cls.colour;
  const lower = below(draft.classes, cls.id);
  byId('f-parent').replaceChildren(new Option(t('no_parent'), ''), ...rowsOf(draft.classes).map((row) => row.cls)
    .filter((other) => other.id !== cls.id && !lower.has(other.id)).map((other) => new Option(other.name, other.id)));
  byId('f-parent').value = cls.parent ?? '';
  const n = usage[cls.id] ?? 0;
  byId('ed-usage').textContent = n ? t('used', { n }) : t('unused');
  showTitle(cls);
}
function showTitle(cls) {
  byId('ed-name').textContent = cls.name;
  byId('ed-id').textContent = t('id', { n: cls.id });
  byId('ed-swatch').dataset.colour = cls.colour;
  if (/^#[0-9a-f]{6}$/.test(cls.colour)) byId('f-well').value = cls.colour;
  const others = draft.classes.filter((other) => other.id !== cls.id);
  const sight = (kind) => (other) => difference(cls.colour, other.colour, kind);
  const nearest = others.length && Object.keys(SIMULATIONS).map((kind) => others.map((other) => ({ other, d: sight(kind)(other) })).sort((a, b) => a.d - b.d)[0]).sort((a, b) => a.d - b.d)[0].other;
  byId('cvd-lab').textContent = nearest ? t('nearest', { name: nearest.name }) : t('alone');
  byId('cvd').replaceChildren(...(nearest ? Object.keys(SIMULATIONS).map((kind) => {
    const close = sight(kind)(nearest) < CLOSE;
    return make('span', { class: close ? 'warnc' : '' }, make('span', { class: 'swt', 'data-colour': simulate(cls.colour, kind) }), make('span', { class: 'swt', 'data-colour': simulate(nearest.colour, kind) }), t(kind), close ? icon('warn', 's') : null, close ? make('span', { class: 'sr' }, t('close')) : null);
  }) : []));
}
function showErrors(wrong) {
  for (const field of FIELDS) {
    const slot = byId(`e-${field}`);
    const input = byId(`f-${field}`);
    const mine = wrong[field];
    slot.replaceChildren(...(mine ? [make('span', { class: 'err-line', role: 'alert' }, icon('err', 's'), t(mine[0], mine[1]))] : []));
    input.toggleAttribute('aria-invalid', Boolean(mine));
    if (mine) input.setAttribute('aria-invalid', 'true');
    input.closest('.inp')?.classList.toggle('bad', Boolean(mine));
  }
}
function edit(change) {
  const cls = current();
  if (!cls) return;
  change(cls);
  showTitle(cls);
  showTree();
}
function select(id, focus = false) {
  chosen = id;
  showTree();
  showEditor();
  if (focus) tree.querySelector('[aria-selected=true]')?.focus();
}

const number = (input) => (input.value.trim() === '' ? NaN : Number(input.value));
const INPUTS = {
  'f-name': (cls, input) => { cls.name = input.value.replace(/\s+/g, ' ').trimStart(); },
  'f-priority': (cls, input) => { cls.priority = number(input); },
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
byId('tpl-name')?.addEventListener('input', (event) => {
  draft.name = event.target.value;
  showTree();
});
byId('f-shortcut')?.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || ['Tab', 'Enter', 'Escape'].includes(event.key)) return;
  event.preventDefault();
  if (event.key === 'Backspace' || event.key === 'Delete') edit((cls) => { cls.shortcut = ''; });
  else if ([...event.key].length === 1 && event.key !== ' ') edit((cls) => { cls.shortcut = event.key.toLowerCase(); });
  event.target.value = current().shortcut.toUpperCase();
});
byId('palette')?.append(...STREET.map((colour) => make('button', { type: 'button', class: 'swt', 'data-colour': colour, 'aria-label': colour, title: colour, onclick: () => edit((cls) => { byId('f-colour').value = cls.colour = colour; }) })));

// ---- order, by keys and by dragging
function move(id, target, after) {
  draft.classes = moved(draft.classes, id, target, after);
  select(id, true);
  byId('draft-state').append(make('span', { class: 'sr' }, t('moved', { name: current().name, n: current().priority })));
}
tree?.addEventListener('click', (event) => {
  const row = event.target.closest('[data-id]');
  if (row) select(Number(row.dataset.id), true);
});
tree?.addEventListener('keydown', (event) => {
  const rows = rowsOf(draft.classes).map((row) => row.cls);
  const here = rows.findIndex((cls) => cls.id === chosen);
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.altKey && step) {
    const peers = rows.filter((cls) => cls.parent === current().parent);
    const other = peers[peers.indexOf(current()) + step];
    if (other) move(chosen, other.id, step > 0);
  } else if (step) select(rows[Math.min(rows.length - 1, Math.max(0, here + step))].id, true);
  else if (event.key === 'Home' || event.key === 'End') select(rows[event.key === 'Home' ? 0 : rows.length - 1].id, true);
  else if (event.key === 'Delete') remove();
  else if (event.key === 'Enter') byId('f-name').select();
  else return;
  event.preventDefault();
});
let dragged = null;
const clear = () => tree.querySelectorAll('.drop-before,.drop-after,.from').forEach((row) => row.classList.remove('drop-before', 'drop-after', 'from'));
const halfOf = (row, event) => event.clientY > row.getBoundingClientRect().top + row.offsetHeight / 2;
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
  tree.querySelectorAll('.drop-before,.drop-after').forEach((other) => other.classList.remove('drop-before', 'drop-after'));
  if (Number(row.dataset.id) !== dragged) row.classList.add(halfOf(row, event) ? 'drop-after' : 'drop-before');
});
tree?.addEventListener('drop', (event) => {
  const row = event.target.closest('[data-id]');
  if (dragged === null || !row) return;
  event.preventDefault();
  move(dragged, Number(row.dataset.id), halfOf(row, event));
});
tree?.addEventListener('dragend', () => {
  dragged = null;
  clear();
});

// ---- classes come and go
function freshId() {
  return Math.max(0, ...draft.classes.map((cls) => cls.id), ...(template?.classes ?? []).map((cls) => cls.id)) + 1;
}
function freshColour() {
  const used = draft.classes.map((cls) => cls.colour);
  const rated = STREET.map((colour) => ({ colour, d: Math.min(Infinity, ...used.map((other) => difference(colour, other))) }));
  return rated.sort((a, b) => b.d - a.d)[0].colour;
}
register('add-class', () => {
  const id = freshId();
  const taken = new Set(draft.classes.map((cls) => cls.shortcut));
  const top = Math.max(0, ...draft.classes.map((cls) => cls.priority || 0));
  draft.classes.push({ id, name: t('new_class', { n: id }), colour: freshColour(), priority: top + 10, parent: null, shortcut: [...'1234567890'].find((key) => !taken.has(key)) ?? '', value: null });
  select(id);
  byId('f-name').select();
});
register('duplicate-class', () => {
  const id = freshId();
  draft.classes.push({ ...structuredClone(current()), id, name: t('copy_of', { name: current().name }), shortcut: '', value: null, colour: freshColour() });
  select(id);
  byId('f-name').select();
});
function remove() {
  const cls = current();
  if (!cls) return;
  const n = usage[cls.id] ?? 0;
  const slot = byId('save-problem');
  if (n) {
    slot.replaceChildren(problem(t('in_use', { n }), '', 'warn'));
    slot.scrollIntoView({ block: 'nearest' });
    return;
  }
  slot.replaceChildren();
  const before = structuredClone(draft.classes);
  const rows = rowsOf(draft.classes).map((row) => row.cls.id);
  draft.classes = draft.classes.filter((other) => other.id !== cls.id);
  draft.classes.forEach((other) => { if (other.parent === cls.id) other.parent = cls.parent; });
  const at = rows.indexOf(cls.id);
  select(rows[at + 1] ?? rows[at - 1] ?? null, true);
  toast(t('deleted', { name: cls.name }), { undo: () => { draft.classes = before; select(cls.id); } });
}
register('delete-class', remove);

// ---- saving
async function save() {
  if (byId('save').disabled) return;
  const slot = byId('save-problem');
  slot.replaceChildren();
  try {
    await api('PATCH', `/class-templates/${template.id}`, { name: draft.name, classes: draft.classes }, { revision: template.revision });
    draft = null;
    location.reload();
  } catch (error) {
    slot.replaceChildren(error.status === 409 && !error.body?.class_id
      ? problem(t('stale'), t('stale_then'), 'warn', make('button', { class: 'btn', onclick: () => { draft = null; location.reload(); } }, t('reload')))
      : problem(error.message));
    slot.scrollIntoView({ block: 'nearest' });
  }
}
register('save', save);
register('discard', () => {
  draft = { name: template.name, classes: structuredClone(template.classes) };
  byId('tpl-name').value = draft.name;
  byId('save-problem').replaceChildren();
  select(draft.classes.some((cls) => cls.id === chosen) ? chosen : rowsOf(draft.classes)[0]?.cls.id ?? null);
});
addEventListener('keydown', (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === 's') {
    event.preventDefault();
    if (draft) save();
  }
});
addEventListener('beforeunload', (event) => { if (changed()) event.preventDefault(); });

// ---- templates as a whole
const open = (id) => { location.href = `/templates/${id}`; };
register('new-template', () => {
  const id = newId();
  ask('new-template', async ({ name, preset }) => {
    await api('POST', '/class-templates', { id, name, ...(preset ? { preset } : { classes: [] }) });
    open(id);
  }, (form) => form.reset());
});
register('duplicate-template', async () => open((await api('POST', `/class-templates/${template.id}/duplicate`)).id));
register('trash-template', async () => {
  await api('DELETE', `/class-templates/${template.id}`);
  draft = null;
  location.href = '/templates';
});
register('restore-template', async ({ dataset }) => {
  await api('POST', `/class-templates/${dataset.id}/restore`);
  open(dataset.id);
});
register('export-json', () => {
  const body = JSON.stringify({ name: draft.name, classes: draft.classes }, null, 2);
  const link = make('a', { href: URL.createObjectURL(new Blob([body], { type: 'application/json' })), download: `${draft.name}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
register('import-json', () => {
  const input = byId('json-file');
  input.value = '';
  input.onchange = async () => {
    try {
      const found = JSON.parse(await input.files[0].text());
      if (typeof found?.name !== 'string' || !Array.isArray(found.classes)) throw new Error('shape');
      const id = newId();
      await api('POST', '/class-templates', { id, name: found.name, classes: found.classes });
      open(id);
    } catch (error) {
      const block = error.status ? problem(t('json_bad'), error.message) : problem(t('json_bad'), t('json_then'));
      (byId('save-problem') ?? byId('problems')).replaceChildren(block);
    }
  };
  input.click();
});

if (draft) {
  byId('tpl-name').value = draft.name;
  showTree();
  showEditor();
}
if (new URLSearchParams(location.search).has('new')) document.querySelector('[data-do="new-template"]')?.click();
