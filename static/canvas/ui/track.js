/** What is asked before regions are tracked: which, which way, how far, by which engine. */
import { el, icon, kbd, swatch } from '../dom.js';
import { BETWEEN_ONLY, can, engineFor, isReady, tracker } from '../engines.js';
import { MOST_REGIONS, classOf, subjectsOf, walkOf } from '../tracks.js';

const MEMORY = 'pointillist track';
const WORDS = { selected: 'track.what_selected', class: 'track.what_class', frame: 'track.what_frame' };
const WHAT = Object.keys(WORDS);
const DIRECTIONS = [['backward', 'trackb', 'track.backward'], ['forward', 'trackf', 'track.forward'], ['both', 'film', 'track.both'], ['between', 'ancf', 'track.between']];
const FAR_WORDS = { end: 'track.far_end', some: 'track.far_some', range: 'track.far_range' };
const FAR = Object.keys(FAR_WORDS);

function recall() {
  try {
    return { direction: 'forward', far: 'end', frames: 50, engine: '', ...JSON.parse(sessionStorage.getItem(MEMORY)) };
  } catch {
    return { direction: 'forward', far: 'end', frames: 50, engine: '' };
  }
}

export function mountTrack(canvas, { app, tracks, store, t }) {
  const last = recall();
  const group = (name, label, values, fill) => {
    const inputs = new Map(values.map((value) => [value, el('input', { type: 'radio', name: `track-${name}`, value, id: `track-${name}-${value}` })]));
    const labels = new Map(values.map((value) => [value, el('label', {}, inputs.get(value), ...fill(value))]));
    const node = el('div', { class: 'seg fill', role: 'radiogroup', 'aria-label': t(label) }, ...labels.values());
    return {
      node, labels, get value() { return values.find((value) => inputs.get(value).checked); },
      set value(value) { inputs.get(value).checked = true; },
      /** `why` = a sentence where the value cannot be chosen, else ''. */
      allow(value, why) {
        inputs.get(value).disabled = Boolean(why);
        labels.get(value).title = why;
        labels.get(value).classList.toggle('off', Boolean(why));
      },
      focus: () => node.querySelector('input:checked')?.focus(),
    };
  };
  const what = group('what', 'track.what', WHAT, () => [el('span', { class: 'tr' })]);
  const way = group('way', 'track.way', DIRECTIONS.map(([value]) => value), (value) => {
    const [, glyph, label] = DIRECTIONS.find(([one]) => one === value);
    return [icon(glyph, true), t(label)];
  });
  const far = group('end', 'track.how_far', FAR, (value) => [el('span', {}, t(FAR_WORDS[value]))]);
  const number = el('input', { class: 'inp sm nn', id: 'track-frames', type: 'number', min: '1', max: '100000', value: String(last.frames), 'aria-label': t('track.frames') });
  const engines = el('select', { class: 'inp sm', id: 'track-engine' });
  const start = el('button', { class: 'btn primary', id: 'track-go' });
  const why = el('p', { class: 'err-line', id: 'track-problem', role: 'status', hidden: true });
  const none = el('p', { class: 'm' });
  const help = el('a', { class: 'link', href: '/engines' }, t('engine.about'));
  const reach = el('div', { class: 'row' }, far.node, number);
  const fields = el('div', { class: 'fields' }, what.node, way.node, reach,
    el('div', { class: 'row' }, el('label', { for: 'track-engine' }, t('track.engine')), engines), why, el('div', { class: 'row end' }, start));
  const nothing = el('div', { class: 'fields' }, none, help);
  const form = el('form', {}, el('h2', { class: 'sec' }, t('track.title')), fields, nothing);
  const box = el('div', { id: 'track-box', class: 'pt-trackbox', popover: 'auto', role: 'dialog', 'aria-label': t('track.title') }, form);
  document.body.append(box);
  number.addEventListener('focus', () => {
    far.value = 'some';
    update();
  });

  const choice = () => ({ direction: way.value, far: way.value === 'between' ? 'end' : far.value, frames: Math.max(1, Math.round(number.valueAsNumber) || 1) });
  const plan = (state) => walkOf(state, choice(), subjectsOf(state, what.value));

  function sentence(wrong, state) {
    const selected = state.regions.find((region) => region.id === state.selected);
    const locked = what.value !== 'frame' && state.locked[what.value === 'selected' ? selected?.class_id : classOf(state)];
    if (wrong === 'track.no_region' && state.prompt) return t('track.accept_first');
    if (wrong === 'track.no_region' && locked) return t('refuse.locked', { name: state.classes.get(classOf(state))?.name ?? '' });
    return t(wrong, { most: MOST_REGIONS });
  }

  /** What can be chosen now, what the button says, and why it does not go where it does not. */
  function update(problem = '') {
    const state = store.get();
    for (const value of WHAT) {
      const n = subjectsOf(state, value).length;
      const label = what.labels.get(value).lastChild;
      const cls = state.classes.get(classOf(state));
      label.replaceChildren(...(value === 'class' && cls ? [swatch(cls.colour)] : []), t(WORDS[value], { n, name: cls?.name ?? '' }));
      what.allow(value, !n ? t(value === 'selected' ? 'track.none_selected' : 'track.no_region') : n > MOST_REGIONS ? t('track.too_many', { most: MOST_REGIONS }) : '');
    }
    const subjects = subjectsOf(state, what.value);
    way.allow('backward', state.index > 0 ? '' : t('track.at_start'));
    way.allow('forward', state.index < state.total - 1 ? '' : t('track.at_end'));
    const bound = walkOf(state, { direction: 'between' }, subjects);
    way.allow('between', bound.wrong === 'track.no_anchor' ? t('track.no_anchor') : '');
    reach.hidden = way.value === 'between';
    far.allow('range', state.range ? '' : t('track.no_range'));
    far.labels.get('range').lastChild.textContent = state.range ? t('track.range', { from: state.range.start + 1, to: state.range.stop + 1 }) : t('track.far_range');
    number.classList.toggle('dim', far.value !== 'some');
    fillEngines(state);
    const walk = plan(state);
    const regions = t.n('track.regions', walk.regions?.length ?? subjects.length);
    start.replaceChildren(walk.wrong ? t('track.start')
      : walk.frames === null ? t('track.go_between', { regions }) : t('track.go', { regions, frames: t.n('track.frames_n', walk.frames) }), kbd('↵'));
    start.disabled = Boolean(walk.wrong);
    const said = problem || (walk.wrong ? sentence(walk.wrong, state) : '');
    why.hidden = !said;
    why.replaceChildren(...(said ? [icon('warn', true), el('span', {}, said)] : []));
  }

  function fillEngines(state) {
    const between = way.value === 'between';
    const able = state.engines.filter((engine) => can(engine, 'track') && (between || engine.id !== BETWEEN_ONLY));
    const wanted = engines.value || last.engine;
    const best = able.find((engine) => engine.id === wanted && isReady(engine)) ?? tracker(state.engines, state.engine);
    fields.hidden = !best;
    nothing.hidden = Boolean(best);
    const known = engineFor(state.engines, 'track');
    none.textContent = known ? t('track.none', { engine: known.id, reason: known.reason || '' }) : '';
    engines.replaceChildren(...able.map((engine) => el('option', {
      value: engine.id, disabled: !isReady(engine), selected: engine === best, title: engine.reason || null,
    }, engine.id)));
  }

  function place() {
    const area = canvas.getBoundingClientRect();
    box.style.left = `${Math.max(8, area.right - box.offsetWidth - 8)}px`;
    box.style.top = `${Math.max(8, area.bottom - box.offsetHeight - 8)}px`;
  }

  form.addEventListener('change', () => update());
  number.addEventListener('input', () => update());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const walk = plan(store.get());
    if (walk.wrong || start.disabled) return;
    Object.assign(last, { direction: way.value, far: far.value, frames: choice().frames, engine: engines.value });
    try { sessionStorage.setItem(MEMORY, JSON.stringify(last)); } catch { /* not remembered, then */ }
    start.disabled = true;
    const refused = await tracks.start({ ...walk, direction: way.value, engine: engines.value });
    if (refused) update(t('track.refused', { reason: refused }));
    else if (box.matches(':popover-open')) {
      box.hidePopover();
      app.toCanvas();
    }
  });
  store.on((state, changed) => {
    if (box.matches(':popover-open') && ['regions', 'selected', 'index', 'range', 'lanes', 'engines', 'classId'].some((key) => changed.has(key))) update();
  });

  /** `direction` for this time; left out, what was chosen last. */
  return function open(direction = null) {
    if (box.matches(':popover-open')) {
      box.hidePopover();
      return;
    }
    const state = store.get();
    what.value = WHAT.find((value) => subjectsOf(state, value).length) ?? 'selected';
    const wished = direction ?? last.direction;
    const cannot = { forward: state.index >= state.total - 1, backward: state.index <= 0, between: Boolean(walkOf(state, { direction: 'between' }, subjectsOf(state, what.value)).wrong) };
    way.value = !direction && cannot[wished] ? (cannot.forward ? 'backward' : 'forward') : wished;
    far.value = last.far === 'range' && !state.range ? 'end' : last.far;
    update();
    box.showPopover();
    place();
    if (fields.hidden) help.focus();
    else if (start.disabled) way.focus();
    else start.focus();
  };
}
