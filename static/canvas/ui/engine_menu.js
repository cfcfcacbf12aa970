/** The engine of the next prompts: the button in the top bar and the list it opens. */
import { el, icon, kbd } from '../dom.js';
import { can, findEngine, isReady, understandsPrompts } from '../engines.js';

const ABILITIES = {
  points: 'ability.points', box: 'ability.box', reach: 'ability.reach', text: 'ability.text', exemplars: 'ability.exemplars',
  track: 'ability.track', find: 'ability.find', label: 'ability.label',
};
const WORKING = new Set(['ready', 'running']);

export function mountEngineMenu({ button, menu }, { app, store, t }) {
  if (!button || !menu) return;
  const dot = el('span');
  const name = el('b', {});
  const state = el('span', { class: 'm st', id: 'engine-state' });
  button.replaceChildren(dot, name, state, icon('cd', true));
  const list = el('div', { role: 'radiogroup', 'aria-label': t('engine.next_prompts') });
  const own = el('button', { type: 'button', class: 'opt', onclick: () => { menu.hidePopover(); app.useEngineForProject(); } });
  menu.replaceChildren(
    el('span', { class: 'head' }, t('engine.next_prompts'), el('span', { class: 'end' }, kbd('Shift'), kbd('E'))), list, el('hr'),
    own, el('a', { href: '/engines' }, icon('info'), t('engine.about')));

  const skills = (engine) => Object.keys(ABILITIES).filter((ability) => can(engine, ability)).map((ability) => t(ABILITIES[ability])).join(' · ');

  function option(engine, current) {
    const usable = isReady(engine) && understandsPrompts(engine);
    const why = isReady(engine) ? engine.note : engine.reason || t('engine.off');
    const radio = el('button', {
      type: 'button', class: 'opt', role: 'radio', 'aria-checked': String(engine.id === current), 'aria-disabled': usable ? null : 'true', 'data-engine': engine.id,
      onclick: () => {
        if (!usable) return;
        menu.hidePopover();
        app.useEngine(engine.id);
      },
    }, icon(usable ? 'eng' : 'x'), el('span', { class: 'what' }, el('b', {}, engine.id), el('span', { class: 'f' }, skills(engine)),
      why ? el('span', { class: isReady(engine) ? 'f' : 'why' }, why) : null));
    const help = isReady(engine) ? null : el('a', { class: 'how', href: `/engines#engine-${engine.id}`, 'aria-label': t('engine.how_of', { engine: engine.id }) }, t('engine.how'));
    return el('div', { class: 'eng' }, radio, help);
  }

  function show(now) {
    const engine = findEngine(now.engines, now.engine);
    const working = WORKING.has(now.worker.state) || now.worker.state === 'starting';
    const fine = isReady(engine) && working;
    dot.className = fine ? 'okc' : 'warnc';
    dot.replaceChildren(icon(fine ? 'check' : 'warn'));
    name.textContent = now.engine;
    state.textContent = t(!isReady(engine) ? 'engine.off' : working ? 'engine.ready' : 'engine.restarting');
    button.setAttribute('aria-label', t('engine.button', { engine: now.engine, state: state.textContent }));
    button.title = engine?.reason || `${t('engine.next_prompts')} (Shift+E)`;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.engine : null;
    list.replaceChildren(...now.engines.map((one) => option(one, now.engine)));
    if (focused) list.querySelector(`[data-engine="${CSS.escape(focused)}"]`)?.focus();
    own.replaceChildren(icon('check'), el('span', {}, t('engine.for_project', { engine: now.engine })));
    own.hidden = now.engine === now.projectEngine;
  }

  menu.addEventListener('toggle', (event) => { if (event.newState === 'open') app.refreshEngines(); });
  show(store.get());
  store.on((now, changed) => { if (['engine', 'engines', 'worker', 'projectEngine'].some((key) => changed.has(key))) show(now); });
}
