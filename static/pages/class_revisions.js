/** Older revisions of the class template: what changed since, in words, and bringing one back. */
import { api, icon, make, register, showProblem, t } from '../app.js';
import { byId, mayLeaveDraft, reload, state } from './class_draft.js';

const dialog = byId('revisions');
const at = `/class-templates/${state.template?.id}/revisions`;
let looked = null;

register('open-revisions', async () => {
  const rows = await api('GET', at);
  looked = null;
  byId('rv-slot').replaceChildren();
  byId('rv-words').replaceChildren(make('p', { class: 'm' }, t('choose_revision')));
  byId('rv-restore').disabled = true;
  byId('rv-restore').textContent = t('bring_back_one');
  byId('rv-list').replaceChildren(...rows.map((row) => make('li', {}, make('button', { type: 'button', class: 'rv', 'data-do': 'look-revision', 'data-revision': row.revision, 'aria-pressed': 'false' },
    make('b', {}, t('revision', { n: row.revision })), row.current ? make('span', { class: 'chip acc' }, t('now')) : null,
    make('span', { class: 'f ml nw' }, new Date(row.at * 1000).toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' })),
    make('span', { class: 'f t1 full' }, t('classes', { n: row.classes }), ' · ', t('rules', { n: row.rules }))))));
  dialog.showModal();
});
register('look-revision', async (button) => {
  const { revision } = button.dataset;
  const found = await api('GET', `${at}/${revision}`);
  looked = Number(revision);
  byId('rv-list').querySelectorAll('.rv').forEach((other) => other.setAttribute('aria-pressed', String(other === button)));
  const same = !found.differences.length;
  byId('rv-words').replaceChildren(
    make('h3', { class: 'sec' }, t('since', { n: revision })),
    same ? make('p', { class: 'm' }, t('no_difference')) : make('ul', { class: 'words' }, ...found.differences.map((text) => make('li', {}, icon('dots', 's'), make('span', {}, text)))),
  );
  byId('rv-restore').disabled = same;
  byId('rv-restore').textContent = t('bring_back', { n: revision });
});
register('restore-revision', async () => {
  if (!mayLeaveDraft()) {
    dialog.close();
    return;
  }
  try {
    await api('POST', `${at}/${looked}/restore`, undefined, { revision: state.template.revision });
    reload(t('brought_back', { n: looked }));
  } catch (error) {
    showProblem(error, byId('rv-slot'));
  }
});
