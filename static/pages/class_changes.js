/** Changes of classes that regions already have: counted first, saved at once, undone as one. */
import { api, count, make, newId, problem, register, t } from '../app.js';
import { byId, complain, current, freshColour, mayLeaveDraft, reload, state } from './class_draft.js';
import { rowsOf } from './rulebook.js';

const dialog = byId('class-change');
const form = dialog?.querySelector('form');
const at = `/class-templates/${state.template?.id}`;
const TITLES = { delete: 'delete_title', merge: 'merge_title', split: 'split_title' };
/** { kind, classId, usage, operation }: what the dialog is about; `operation` makes a repeated request one change. */
let asked = null;

/** Open the dialog for one kind of change; the number of regions comes fresh from the server. */
export async function openChange(kind, classId) {
  if (!mayLeaveDraft()) return;
  complain();
  asked = { kind, classId, usage: await api('GET', `${at}/classes/${classId}/usage`), operation: newId() };
  byId('cc-slot').replaceChildren();
  byId('cc-title').textContent = t(TITLES[kind], { name: asked.usage.name });
  for (const part of form.querySelectorAll('[data-kind]')) part.hidden = !part.dataset.kind.split(' ').includes(kind);
  form.reset();
  const others = rowsOf(state.draft.classes).map((row) => row.cls).filter((cls) => cls.id !== classId);
  byId('cc-into').replaceChildren(...others.map((cls) => new Option(cls.name, cls.id)));
  byId('cc-delete').disabled = false;
  if (!others.length) form.elements.fate.value = 'regions';
  form.elements.name.value = t('part_of', { name: asked.usage.name });
  form.elements.colour.value = freshColour();
  showUsage();
  dialog.showModal();
  form.querySelector('.body :is(select, input):not([hidden] *)')?.focus();
}
const extent = ({ regions, frames }) => `${t('regions', { n: regions })} · ${t('frames', { n: frames })}`;
function showUsage() {
  const { usage } = asked;
  byId('cc-count').textContent = extent(usage);
  byId('cc-projects').replaceChildren(...usage.projects.map((project) => make('li', { class: 'row' },
    make('span', { class: 'tr grow' }, project.trashed ? t('in_trash', { name: project.name }) : project.name),
    make('span', { class: 'f nw' }, extent(project)))));
  const values = Object.entries(usage.attributes).flatMap(([name, counts]) => Object.entries(counts).map(([value, n]) => ({ name, value, n })));
  byId('cc-values').replaceChildren(...values.map((row) => new Option(`${row.name}: ${row.value || t('not_set')} (${count(row.n)})`, JSON.stringify([row.name, row.value]))));
  const assets = usage.projects.flatMap((project) => project.assets.map((asset) => ({ ...asset, project: project.name })));
  byId('cc-assets').replaceChildren(...assets.map((asset) => make('li', {}, make('label', { class: 'chk' },
    make('input', { type: 'checkbox', name: 'asset', value: asset.id }), make('span', { class: 'tr' }, `${asset.project} / ${asset.name}`), make('span', { class: 'f nw' }, t('regions', { n: asset.regions }))))));
  form.elements.by.value = values.length ? 'attribute' : 'asset';
  form.querySelector('[name=by][value=attribute]').disabled = !values.length;
  showButton();
}
/** The request body, and how many regions it touches. */
function wanted() {
  const { kind, classId, usage } = asked;
  const { elements } = form;
  const base = { kind, class_id: classId, expected_regions: usage.regions };
  if (kind === 'merge' || (kind === 'delete' && elements.fate.value === 'into')) return { ...base, into: Number(byId('cc-into').value) };
  if (kind === 'delete') return base;
  const made = { ...base, name: elements.name.value, colour: elements.colour.value };
  if (elements.by.value === 'attribute') {
    const [attribute, value] = JSON.parse(byId('cc-values').value);
    return { ...made, attribute, value, expected_regions: usage.attributes[attribute][value] };
  }
  const ids = [...form.querySelectorAll('[name=asset]:checked')].map((box) => box.value);
  const all = usage.projects.flatMap((project) => project.assets);
  return { ...made, asset_ids: ids, expected_regions: all.filter((asset) => ids.includes(asset.id)).reduce((n, asset) => n + asset.regions, 0) };
}
/** The button says what it will do, with the number. */
function showButton() {
  const { kind, usage } = asked;
  const body = wanted();
  const n = body.expected_regions;
  const into = state.draft.classes.find((cls) => cls.id === body.into)?.name ?? '';
  const button = byId('cc-go');
  const loses = kind === 'delete' && body.into === undefined;
  button.textContent = loses ? t('do_delete', { n }) : kind === 'split' ? t('do_split', { n }) : kind === 'delete' ? t('do_move', { n, into }) : t('do_merge', { n, into });
  button.className = loses ? 'btn lg danger fill primary' : 'btn lg primary';
  button.disabled = kind === 'split' && (!n || n > usage.regions);
  byId('cc-into').disabled = loses;
  const { tracks, rules, children } = usage;
  const rest = loses ? [tracks && t('lost_tracks', { n: tracks }), rules && t('lost_rules', { n: rules })] : [tracks && t('follow_tracks', { n: tracks }), rules && t('follow_rules', { n: rules })];
  byId('cc-follow').textContent = kind === 'split' ? '' : [...rest, children && t('follow_children', { n: children })].filter(Boolean).join(' ');
  byId('cc-values').disabled = form.elements.by.value !== 'attribute';
  byId('cc-assets').querySelectorAll('input').forEach((box) => { box.disabled = form.elements.by.value !== 'asset'; });
}
form?.addEventListener('input', () => {
  asked.operation = newId();
  showButton();
});
form?.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = byId('cc-go');
  if (button.disabled) return;
  button.disabled = true;
  try {
    const done = await api('POST', `${at}/changes`, wanted(), { revision: state.template.revision, operation: asked.operation });
    dialog.close();
    reload(t('change_done', { n: done.regions, what: done.edit.label }));
  } catch (error) {
    if (error.status === 409 && error.body?.regions !== undefined) {
      asked.usage = await api('GET', `${at}/classes/${asked.classId}/usage`);
      asked.operation = newId();
      showUsage();
      byId('cc-slot').replaceChildren(problem(t('count_changed'), error.message, 'warn'));
    } else byId('cc-slot').replaceChildren(problem(error.message));
  } finally {
    button.disabled = false;
  }
});
register('merge-class', () => openChange('merge', current().id));
register('split-class', () => openChange('split', current().id));
