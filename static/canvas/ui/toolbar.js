/** The tool buttons, the undo pair and the layer bar, made of the action table. */
import { ACTIONS, actionById, isEnabled } from '../actions.js';
import { el, icon, rovingTabindex } from '../dom.js';
import { ariaKeys, keyCaps } from '../keys.js';
import { ONION_WORDS } from '../onion.js';

const ONION_SIGNS = { previous: '‹', next: '›', both: '‹ ›' };

/** 'Point + (A)' */
export const withKey = (t, action) => {
  const key = action.keys[0] ?? action.soft?.[0];
  return key ? `${t(action.label)} (${keyCaps(key).join('+')})` : t(action.label);
};
export const keysOf = (action) => [...action.keys, ...(action.soft ?? [])];

export function mountToolbar(host, { app, store, t }) {
  host.setAttribute('role', 'toolbar');
  host.setAttribute('aria-label', t('group.tools'));
  host.setAttribute('aria-orientation', 'vertical');
  const buttons = new Map();
  for (const action of ACTIONS.filter((a) => a.tool)) {
    const button = el('button', {
      type: 'button', class: 'tool', 'data-action': action.id, 'data-tool': action.tool, title: withKey(t, action), 'aria-label': t(action.label),
      'aria-keyshortcuts': ariaKeys(action.keys), 'aria-pressed': 'false', onclick: () => action.run(app),
    }, icon(action.icon), el('span', { 'aria-hidden': 'true' }, keyCaps(action.keys[0]).join('')));
    buttons.set(action.tool, button);
    host.append(button);
    if (action.after === 'line') host.append(el('hr'));
  }
  function update(state) {
    const tool = state.held ?? state.tool;
    for (const [id, button] of buttons) {
      const on = id === tool;
      button.setAttribute('aria-pressed', String(on));
      button.classList.toggle('on', on);
      button.classList.toggle('busy', on && state.busy);
    }
  }
  update(store.get());
  rovingTabindex(host, '.tool', { vertical: true });
  store.on((state, changed) => { if (changed.has('tool') || changed.has('held') || changed.has('busy')) update(state); });
}

/** Buttons anywhere on the page that carry data-action: names, keys, enabled state, clicks. */
export function bindActionButtons(root, { app, store, t }) {
  const bound = [];
  for (const button of root.querySelectorAll('button[data-action]:not([data-tool])')) {
    const action = actionById(button.dataset.action);
    if (!action) continue;
    button.title ||= withKey(t, action);
    if (!button.getAttribute('aria-label')) button.setAttribute('aria-label', t(action.label));
    if (action.keys.length) button.setAttribute('aria-keyshortcuts', ariaKeys(action.keys));
    button.addEventListener('click', () => { if (isEnabled(action, store.get())) action.run(app); });
    bound.push([button, action]);
  }
  const update = (state) => {
    for (const [button, action] of bound) button.setAttribute('aria-disabled', String(!isEnabled(action, state)));
  };
  update(store.get());
  store.on((state, changed) => { if (['canUndo', 'canRedo', 'index', 'total', 'selected'].some((key) => changed.has(key))) update(state); });
}

export function mountBar({ toggles, opacity, readout, zoom }, { app, store, t }) {
  const layerButtons = new Map();
  if (toggles) {
    toggles.classList.add('seg');
    toggles.setAttribute('role', 'group');
    toggles.setAttribute('aria-label', t('layer.group'));
    for (const action of ACTIONS.filter((a) => a.layer)) {
      const button = el('button', {
        type: 'button', title: withKey(t, action), 'aria-keyshortcuts': ariaKeys(keysOf(action)), 'aria-pressed': 'false', onclick: () => action.run(app),
      }, t(action.label));
      layerButtons.set(action.layer, button);
      toggles.append(button);
    }
  }
  const onion = actionById('onion');
  const skin = el('button', { type: 'button', id: 'onion-toggle', 'aria-keyshortcuts': ariaKeys(keysOf(onion)), onclick: () => onion.run(app) });
  toggles?.append(skin);
  let slider = null;
  const percent = el('output', { class: 'v m' });
  if (opacity) {
    slider = opacity.matches('input') ? opacity : el('input', { type: 'range', class: 'pt-range' });
    Object.assign(slider, { type: 'range', min: 0, max: 100, step: 1 });
    slider.classList.add('pt-range');
    slider.setAttribute('aria-label', t('layer.opacity'));
    slider.title = t('layer.opacity');
    slider.addEventListener('input', () => app.setOpacity(slider.valueAsNumber / 100));
    if (slider === opacity) slider.after(percent);
    else opacity.append(slider, percent);
  }
  let level = null;
  if (zoom) {
    const button = (id, content) => {
      const action = actionById(id);
      return el('button', { type: 'button', class: 'btn ghost icon sm', title: withKey(t, action), 'aria-label': t(action.label), onclick: () => action.run(app) }, content);
    };
    level = el('output', { class: 'z v' });
    zoom.setAttribute('role', 'group');
    zoom.setAttribute('aria-label', t('zoom.group'));
    zoom.append(button('zoom-out', icon('minus')), level, button('zoom-in', icon('plus')), button('fit', icon('fit')));
  }
  const place = el('span', { class: 'mono f pt-at' });
  const what = el('b', { class: 'tr' });
  const beaten = el('span', { class: 'f tr pt-beaten' });
  const swt = el('span', { class: 'swt dot', hidden: true, 'aria-hidden': 'true' });
  readout?.append(place, swt, what, beaten);

  function update(state, changed = null) {
    const is = (...keys) => !changed || keys.some((key) => changed.has(key));
    if (is('layers')) for (const [layer, button] of layerButtons) button.setAttribute('aria-pressed', String(Boolean(state.layers[layer])));
    if (is('onion')) {
      const which = t(ONION_WORDS[state.onion]);
      skin.setAttribute('aria-pressed', String(state.onion !== 'off'));
      skin.setAttribute('aria-label', t('onion.label', { which }));
      skin.title = `${t('onion.label', { which })} (Y)`;
      skin.replaceChildren(icon('layers', true), ...(state.onion === 'off' ? [] : [ONION_SIGNS[state.onion]]));
    }
    if (slider && is('opacity')) {
      slider.value = String(Math.round(state.opacity * 100));
      slider.style.setProperty('--v', `${slider.value}%`);
      percent.textContent = `${slider.value} %`;
    }
    if (level && is('view')) {
      level.textContent = t(state.view.fit ? 'zoom.fit' : 'zoom.free', { percent: Math.round(state.view.scale * 100) });
    }
    if (readout && is('pointer', 'map', 'classes', 'inspect', 'inspection')) showPixel(state);
  }
  function showPixel(state) {
    const { inspect, inspection } = state;
    const pointer = inspect?.pinned || (inspect && !state.pointer) ? { x: inspect.x + 0.5, y: inspect.y + 0.5 } : state.pointer;
    const found = pointer && app.classAt(pointer);
    place.textContent = pointer && found !== undefined ? `${(Math.floor(pointer.x) + 0.5).toFixed(1)}, ${(Math.floor(pointer.y) + 0.5).toFixed(1)}` : '';
    swt.hidden = !found;
    if (found) swt.style.setProperty('--c', found.colour);
    what.textContent = found ? found.name : found === null ? t('canvas.unlabelled') : '';
    what.classList.toggle('f', found === null);
    const same = inspection && pointer && inspection.x === Math.floor(pointer.x) && inspection.y === Math.floor(pointer.y);
    const names = same ? inspection.losers.map((one) => one.name) : [];
    beaten.textContent = names.length ? t('inspect.over', { names: [...new Set(names)].join(', ') }) : '';
  }
  update(store.get());
  store.on(update);
}

