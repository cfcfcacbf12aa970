/** What is asked before a region is tracked: which way, how far, by which engine. */
import { el, icon, kbd } from '../dom.js';
import { can, engineFor, isReady, tracker } from '../engines.js';

const DIRECTIONS = [['backward', 'trackb', 'track.backward'], ['forward', 'trackf', 'track.forward'], ['both', 'film', 'track.both']];

export function mountTrack(canvas, { app, tracks, store, t }) {
  const radio = (group, value, ...label) => {
    const input = el('input', { type: 'radio', name: group, value });
    return [input, el('label', {}, input, ...label)];
  };
  const ways = DIRECTIONS.map(([value, glyph, label]) => radio('track-way', value, icon(glyph, true), t(label)));
  const ends = [radio('track-end', 'end', t('track.to_end')), radio('track-end', 'some', t('track.some'))];
  const number = el('input', { class: 'inp nn', type: 'number', min: '1', max: '100000', value: '50', 'aria-label': t('track.frames') });
  const engines = el('select', { class: 'inp sm', id: 'track-engine' });
  const start = el('button', { class: 'btn primary' }, t('track.start'), kbd('↵'));
  const none = el('p', { class: 'm' });
  const help = el('a', { class: 'link', href: '/engines' }, t('engine.about'));
  const fields = el('div', { class: 'fields' },
    el('div', { class: 'seg fill', role: 'radiogroup', 'aria-label': t('track.way') }, ...ways.map(([, label]) => label)),
    el('div', { class: 'row' }, el('div', { class: 'seg', role: 'radiogroup', 'aria-label': t('track.how_far') }, ...ends.map(([, label]) => label)), number),
    el('div', { class: 'row' }, el('label', { for: 'track-engine' }, t('track.engine')), engines, el('span', { class: 'ml' }), start));
  const nothing = el('div', { class: 'fields' }, none, help);
  const form = el('form', {}, el('h2', { class: 'sec' }, t('action.track')), fields, nothing);
  const box = el('div', { id: 'track-box', class: 'pt-trackbox', popover: 'auto', role: 'dialog', 'aria-label': t('action.track') }, form);
  document.body.append(box);
  ways[1][0].checked = true;
  ends[0][0].checked = true;
  number.addEventListener('focus', () => { ends[1][0].checked = true; });

  function fill() {
    const state = store.get();
    const best = tracker(state.engines, state.engine);
    fields.hidden = !best;
    nothing.hidden = Boolean(best);
    const known = engineFor(state.engines, 'track');
    none.textContent = known ? t('track.none', { engine: known.id, reason: known.reason || '' }) : '';
    engines.replaceChildren(...state.engines.filter((engine) => can(engine, 'track')).map((engine) => el('option', {
      value: engine.id, disabled: !isReady(engine), selected: engine === best, title: engine.reason || null,
    }, engine.id)));
  }

  function place() {
    const area = canvas.getBoundingClientRect();
    box.style.left = `${Math.max(8, area.right - box.offsetWidth - 8)}px`;
    box.style.top = `${Math.max(8, area.bottom - box.offsetHeight - 8)}px`;
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    box.hidePopover();
    app.toCanvas();
    await tracks.start({
      direction: ways.find(([input]) => input.checked)[0].value, engine: engines.value,
      frames: ends[1][0].checked ? Math.max(1, Math.round(number.valueAsNumber) || 1) : 0,
    });
  });

  return function open(direction = 'forward') {
    if (box.matches(':popover-open')) {
      box.hidePopover();
      return;
    }
    const way = ways.find(([input]) => input.value === direction);
    way[0].checked = true;
    fill();
    box.showPopover();
    place();
    (fields.hidden ? help : ways.find(([input]) => input.checked)[0]).focus();
  };
}
