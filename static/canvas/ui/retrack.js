/** Offered after a region of a track was corrected: what becomes of the frames around it. Gone with the next edit or frame. */
import { el, icon, kbd } from '../dom.js';
import { anchorsAround, trackedBy } from '../tracks.js';

export function mountRetrack(host, { app, store, t }) {
  const button = (id, glyph, label, cap, run) => el('button', { type: 'button', id: `retrack-${id}`, onclick: run }, icon(glyph), t(label), ...cap.map(kbd));
  const onward = button('onward', 'trackf', 'retrack.onward', ['↵'], () => app.retrack('forward'));
  const between = button('between', 'ancf', 'retrack.between', ['Shift', 'T'], () => app.retrack('between'));
  const only = button('frame', 'check', 'retrack.frame', ['Esc'], () => app.leaveRetrack());
  onward.classList.add('ac');
  const name = el('b', { class: 'tr' });
  const bar = el('div', { class: 'pt-retrack', id: 'retrack', role: 'group', 'aria-label': t('retrack.group'), hidden: true },
    el('span', { class: 'who' }, icon('ancf', true), name, el('span', { class: 'st' }, t('retrack.corrected'))), onward, between, only);
  host.append(bar);
  // A press on the bar is none on the canvas below it.
  for (const kind of ['pointerdown', 'pointerup', 'click', 'wheel']) bar.addEventListener(kind, (event) => event.stopPropagation());

  store.on((state, changed) => {
    if (!['retrack', 'lanes', 'index'].some((key) => changed.has(key))) return;
    bar.hidden = !state.retrack;
    if (!state.retrack) return;
    const region = state.regions.find((one) => one.id === state.retrack.id);
    name.textContent = trackedBy(state.lanes, state.retrack.track)?.name ?? state.classes.get(region?.class_id)?.name ?? '';
    const { before, behind } = anchorsAround(state.lanes, state.retrack.track, state.index);
    const alone = Boolean(state.lanes) && before === null && behind === null;
    between.setAttribute('aria-disabled', String(alone));
    between.title = alone ? t('track.no_anchor') : '';
    onward.setAttribute('aria-disabled', String(state.index >= state.total - 1));
    onward.title = state.index >= state.total - 1 ? t('track.at_end') : behind === null ? t('retrack.to_end') : t('retrack.to_anchor', { n: behind + 1 });
  });
}
