/** Short flags at the top of the canvas. Here: that regions of the frame were drawn by another engine than theirs. */
import { el, icon } from '../dom.js';

export function mountNotes(host, { store, t }) {
  const box = el('div', { class: 'pt-notes', id: 'canvas-notes' });
  host.append(box);
  const said = el('p', {});
  const close = el('button', { type: 'button', class: 'btn ghost icon sm', 'aria-label': t('note.close'), title: t('note.close') }, icon('x'));
  const flag = el('div', { class: 'problem warn', role: 'status', hidden: true, id: 'substituted' }, icon('warn'), el('div', {}, said), close);
  box.append(flag);
  let dismissed = '';

  function show({ map }) {
    // A map without a key is this page's own guess until the server's arrives.
    if (map && map.key === null) return;
    const sentence = map?.substituted ?? '';
    if (said.textContent !== sentence) said.textContent = sentence;
    flag.hidden = !sentence || sentence === dismissed;
  }
  close.addEventListener('click', () => {
    dismissed = said.textContent;
    show(store.get());
  });
  store.on((state, changed) => { if (changed.has('map')) show(state); });
  return box;
}
