/** The editor of a class template: a draft here, one revision on the server when it is saved. */
import { api, ask, icon, make, newId, problem, register, t, toast } from '../app.js';
import './class_list.js';
import { byId, changed, complain, discard, flash, forget, mayLeaveDraft, on, reload, select, state, touch } from './class_draft.js';
import './class_editor.js';
import './class_revisions.js';
import { focusRule } from './class_rules.js';
import { rowsOf } from './rulebook.js';

const { template } = state;

// ---- the state of the draft
function showState() {
  const { wrong } = state;
  const dirty = changed();
  const bad = wrong.classes.size + wrong.rules.size > 0;
  byId('save').disabled = !dirty || bad || !state.draft.name.trim();
  byId('discard').disabled = !dirty;
  byId('draft-state').replaceChildren(...(dirty ? [icon(bad ? 'err' : 'pencil', 's'), make('span', { class: 'tr' }, bad ? t('fix_first') : t('unsaved'))] : [icon('check', 's'), make('span', { class: 'tr' }, t('saved'))]));
  byId('draft-state').classList.toggle('errc', bad);
}
byId('tpl-name')?.addEventListener('input', (event) => {
  state.draft.name = event.target.value;
  touch();
});

// ---- saving
async function save() {
  if (byId('save').disabled) return;
  complain();
  const { name, classes, rules } = state.draft;
  try {
    await api('PATCH', `/class-templates/${template.id}`, { name, classes, rules }, { revision: template.revision });
    reload('');
  } catch (error) {
    complain(error.status === 409 && error.body?.class_id === undefined
      ? problem(t('stale'), t('stale_then'), 'warn', make('button', { class: 'btn', onclick: () => reload('') }, t('reload')))
      : problem(error.message));
    if (error.body?.rule !== undefined) focusRule(error.body.rule);
  }
}
register('save', save);
register('discard', () => {
  complain();
  discard();
  byId('tpl-name').value = state.draft.name;
});
async function step(kind) {
  if (!mayLeaveDraft()) return;
  try {
    reload((await api('POST', `/class-templates/${template.id}/${kind}`)).what);
  } catch (error) {
    complain(problem(error.message));
  }
}
register('undo-template', () => step('undo'));
register('redo-template', () => step('redo'));
addEventListener('keydown', (event) => {
  if (!(event.ctrlKey || event.metaKey) || !state.draft || document.querySelector('dialog[open]')) return;
  const key = event.key.toLowerCase();
  const button = key === 's' ? byId('save') : key === 'z' && !event.target.closest('input, textarea, select') ? byId(event.shiftKey ? 'redo-template' : 'undo-template') : null;
  if (!button) return;
  event.preventDefault();
  if (!button.disabled) button.click();
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
  forget();
  location.href = '/templates';
});
register('restore-template', async ({ dataset }) => {
  await api('POST', `/class-templates/${dataset.id}/restore`);
  open(dataset.id);
});
register('export-json', () => {
  const { name, classes, rules } = state.draft;
  const body = JSON.stringify({ name, classes, rules }, null, 2);
  const link = make('a', { href: URL.createObjectURL(new Blob([body], { type: 'application/json' })), download: `${name}.json` });
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
      await api('POST', '/class-templates', { ...found, id });
      open(id);
    } catch (error) {
      complain(error.status ? problem(t('json_bad'), error.message) : problem(t('json_bad'), t('json_then')));
    }
  };
  input.click();
});

if (state.draft) {
  byId('tpl-name').value = state.draft.name;
  on('draft', showState);
  select(rowsOf(state.draft.classes)[0]?.cls.id ?? null);
}
const said = flash();
if (said) toast(said);
if (new URLSearchParams(location.search).has('new')) document.querySelector('[data-do="new-template"]')?.click();
