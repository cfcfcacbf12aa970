/** The section of the panel that names the winner of a pixel and those it beat. */
import { el, icon, swatch } from '../dom.js';

export function mountInspector(after, { app, store, t }) {
  if (!after) return;
  const place = el('span', { class: 'mono f' });
  const close = el('button', { type: 'button', class: 'btn ghost icon sm ml', 'aria-label': t('inspect.close'), title: `${t('inspect.close')} (Esc)`, onclick: () => app.leaveInspect() }, icon('x'));
  const list = el('ol', { class: 'insp', 'aria-label': t('inspect.list') });
  const reason = el('p', { class: 'm t1' });
  const value = el('p', { class: 'f t1' });
  const section = el('div', { id: 'inspector', class: 'sec pixel', hidden: true },
    el('div', { class: 'ph2' }, el('h2', { class: 'sec' }, t('inspect.title')), place, close), list, reason, value);
  after.after(section);

  list.addEventListener('click', (e) => {
    const row = e.target.closest('[data-region]');
    if (row) app.request({ action: 'select-region', region_id: row.dataset.region });
  });

  function row(found, won, selected) {
    const what = [
      found.outline ? t('inspect.outline') : t.n('say.points', found.points),
      found.certificate && !found.certificate.exact ? `IoU ${found.certificate.iou.toFixed(2)}` : null,
      t('inspect.area', { n: found.area.toLocaleString('en').replaceAll(',', '\u202f') }),
    ].filter(Boolean).join(' · ');
    const name = el(won ? 'b' : 's', { class: 'tr' }, found.name);
    return el('li', {}, el('button', {
      type: 'button', class: `pick${selected === found.region_id ? ' cur' : ''}`, 'data-region': found.region_id,
      'aria-label': t(won ? 'inspect.won' : 'inspect.beaten', { name: found.name, priority: found.priority }), title: t('inspect.select'),
    }, swatch(found.colour), name, el('span', { class: 'f t1 tr' }, what), el('span', { class: 'pr' }, String(found.priority))));
  }

  function why({ decided, winner, losers }) {
    const [best] = losers;
    if (decided === 'none') return t('inspect.none');
    if (decided === 'alone') return t('inspect.alone');
    if (decided === 'region') return t('inspect.region');
    if (decided === 'order') return t('inspect.order', { name: winner.name, other: best.name });
    return t('inspect.priority', { name: winner.name, a: winner.priority, b: best.priority });
  }

  function update(state) {
    section.hidden = state.tool !== 'inspect';
    if (section.hidden) return;
    const found = state.inspection;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.region : null;
    place.textContent = found ? `${found.x + 0.5}, ${found.y + 0.5}` : '';
    list.replaceChildren(...(found ? [found.winner, ...found.losers].filter(Boolean).map((one, i) => row(one, i === 0, state.selected)) : []));
    reason.textContent = found ? why(found) : t('inspect.hint');
    value.textContent = !found ? '' : found.value === null ? t('inspect.value_open') : t('inspect.value', { value: found.value });
    if (focused) list.querySelector(`[data-region="${CSS.escape(focused)}"]`)?.focus();
  }
  update(store.get());
  store.on((state, changed) => { if (['tool', 'inspection', 'selected'].some((key) => changed.has(key))) update(state); });
}
