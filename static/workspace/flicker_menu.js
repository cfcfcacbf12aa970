/** The label of the flicker row: what the row shows, chosen in a menu, and the button that measures again. */
import { el, icon } from '../canvas/dom.js';
import { SCOPES } from './flicker.js';
import { spaced } from './ruler.js';

const MEASURES = ['warped', 'raw'];
const SCOPE_WORDS = { all: 'flicker.all', class: 'flicker.class', selected: 'flicker.selected' };
const MEASURE_WORDS = { warped: 'flicker.warped', raw: 'flicker.raw' };

/** @param on {scope(name), series(name), measure()} */
export function createFlickerMenu({ t, on }) {
  const what = el('span', { class: 'tr' });
  const open = el('button', { type: 'button', class: 'pt-flk-open', popovertarget: 'flicker-menu', 'aria-haspopup': 'menu' }, what, icon('cd', true));
  const many = el('span', {});
  const again = el('button', { type: 'button', class: 'btn ghost sm pt-flk-again', hidden: true, onclick: () => on.measure() }, icon('retry', true), many);
  const radio = (group, name, words, pick) => el('button', {
    type: 'button', role: 'menuitemradio', [`data-${group}`]: name, onclick: () => {
      menu.hidePopover();
      pick(name);
    },
  }, el('span', { class: 'tr' }, t(words[name])));
  const head = (key) => el('span', { class: 'head' }, t(key));
  const stale = el('button', { type: 'button', role: 'menuitem', onclick: () => {
    menu.hidePopover();
    on.measure();
  } }, icon('retry', true), el('span', {}));
  const menu = el('div', { class: 'menu', popover: '', id: 'flicker-menu', role: 'menu', 'aria-label': t('flicker.choose') },
    head('flicker.shows'), ...SCOPES.map((name) => radio('scope', name, SCOPE_WORDS, on.scope)), el('hr'),
    head('flicker.measure_of'), ...MEASURES.map((name) => radio('series', name, MEASURE_WORDS, on.series)), el('hr'), stale);

  return {
    label: el('div', { class: 'pt-label pt-flicker-label' }, open, again), menu,
    /** @param model {scope, series, name: what the row is about, changed: frames since, busy: whether it is measured now} */
    show({ scope, series, name, changed, busy }) {
      const title = scope === 'all' ? t('flicker.name') : t('flicker.of', { name });
      what.textContent = title;
      open.title = series === 'raw' ? `${title} · ${t('flicker.raw')}` : title;
      open.setAttribute('aria-label', `${open.title}. ${t('flicker.choose')}`);
      for (const node of menu.querySelectorAll('[data-scope]')) node.setAttribute('aria-checked', String(node.dataset.scope === scope));
      for (const node of menu.querySelectorAll('[data-series]')) node.setAttribute('aria-checked', String(node.dataset.series === series));
      const words = changed ? `${t.n('flicker.changed', changed, { n: spaced(changed) })} · ${t('flicker.again')}` : t('flicker.again');
      again.hidden = !changed || busy;
      many.textContent = changed < 1000 ? String(changed) : `${Math.floor(changed / 1000)}k`;
      again.title = words;
      again.setAttribute('aria-label', words);
      stale.lastChild.textContent = words;
      stale.disabled = busy;
    },
  };
}
