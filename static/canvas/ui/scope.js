/** Asked before a region of a track is deleted: this one, those behind it, those before it, or all of the track. */
import { el, icon, kbd } from '../dom.js';

const LABELS = { frame: 'scope.frame', onward: 'scope.onward', backward: 'scope.backward', track: 'scope.track' };
const SCOPES = Object.keys(LABELS);

export function mountScope({ app, labels, tracks, transport, store, emit, t }) {
  const title = el('h2', { id: 'scope-title' });
  const close = el('button', { type: 'button', class: 'btn ghost icon ml', 'aria-label': t('scope.cancel'), onclick: () => dialog.close() }, icon('x'));
  const inputs = new Map(SCOPES.map((scope) => [scope, el('input', { type: 'radio', name: 'scope', value: scope, id: `scope-${scope}` })]));
  const counts = new Map(SCOPES.map((scope) => [scope, el('span', { class: 'f ml' })]));
  const rows = SCOPES.map((scope) => el('label', { class: 'chk' }, inputs.get(scope), t(LABELS[scope]), counts.get(scope)));
  const note = el('p', { class: 'm', id: 'scope-note' });
  const problem = el('p', { class: 'err-line', role: 'alert', hidden: true });
  const go = el('button', { class: 'btn lg danger fill', id: 'scope-go' });
  const form = el('form', { method: 'dialog' },
    el('header', {}, title, close),
    el('div', { class: 'body' }, el('div', { class: 'scopes', role: 'radiogroup', 'aria-labelledby': 'scope-title' }, ...rows), note, problem),
    el('footer', {}, el('span', { class: 'ml' }), el('button', { type: 'button', class: 'btn lg ghost', onclick: () => dialog.close() }, t('scope.cancel'), kbd('Esc')), go));
  const dialog = el('dialog', { class: 'dlg', id: 'delete-scope', 'aria-labelledby': 'scope-title' }, form);
  document.body.append(dialog);
  let region = null;
  let known = null;

  const chosen = () => SCOPES.find((scope) => inputs.get(scope).checked);

  function show() {
    const scope = chosen();
    for (const one of SCOPES) counts.get(one).textContent = known ? t.n('scope.count', known[one]) : '';
    go.replaceChildren(known ? t.n('scope.delete', known[scope]) : t('scope.delete_some'), kbd('↵'));
    const anchors = known?.anchors[scope] ?? 0;
    const approved = known?.approved[scope] ?? 0;
    note.replaceChildren(...(scope !== 'frame' && anchors ? [t.n('scope.anchors', anchors), ' '] : []), ...(approved ? [t.n('scope.approved', approved), ' '] : []), t('scope.undo'));
  }
  form.addEventListener('change', show);

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const scope = chosen();
    if (scope === 'frame') {
      dialog.close();
      labels.removeRegion(region.id);
      return;
    }
    go.disabled = true;
    try {
      const { deleted } = await tracks.remove(region, scope);
      dialog.close();
      emit('pt:done', { text: t.n('scope.deleted', deleted) });
    } catch (error) {
      problem.hidden = false;
      problem.replaceChildren(icon('warn', true), el('span', {}, error.message));
    } finally {
      go.disabled = false;
    }
  });
  dialog.addEventListener('close', () => app.toCanvas());

  return async function ask(wanted) {
    region = wanted;
    known = null;
    problem.hidden = true;
    inputs.get('frame').checked = true;
    title.textContent = t('scope.title', { name: store.get().classes.get(region.class_id)?.name ?? '' });
    show();
    dialog.showModal();
    inputs.get('frame').focus();
    try {
      const found = await transport.scopes(region.id);
      if (region !== wanted) return;
      known = found;
      title.textContent = t('scope.title', { name: found.name });
      show();
    } catch { /* Without counts the question is the same. */ }
  };
}
