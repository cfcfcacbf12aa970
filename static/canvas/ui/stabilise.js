/** The stabilise panel, in the place of the class list: what to smooth and how, then what came of it. */
import { el, icon, kbd, swatch } from '../dom.js';
import { FAR, WHAT, changedFrames, classesIn, nextOf, valuesOf } from '../stabilise.js';
import { trackedBy } from '../tracks.js';
import { createCurve } from './curve.js';
import { segments } from './segments.js';
import { figureRows, layerRows, progressOf } from './stabilised.js';

const WHAT_WORDS = { all: 'stab.what_all', classes: 'stab.what_classes', track: 'stab.what_track' };
const FAR_WORDS = { whole: 'stab.far_whole', range: 'stab.far_range', around: 'stab.far_around' };
const SIDES = [['before', 'stab.before'], ['both', 'stab.both'], ['after', 'stab.after']];
/** Where it is said why there can be no preview. */
const WRONG_FIELDS = { 'stab.no_class': 'what', 'stab.no_track': 'what', 'stab.no_range': 'far', 'stab.single_frame': 'far', 'stab.nothing': 'far' };
const FIELDS = ['what', 'far', 'filter', 'go'];
/** Warped instability above which a frame flickers. */
const LIMIT = 0.17;
const spaced = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');

export function mountStabilise(classes, { app, stabilise, store, t }) {
  const get = store.get;
  const problems = new Map(FIELDS.map((field) => [field, el('p', { class: 'err-line', role: 'status', hidden: true, id: `stabilise-${field}-problem` })]));

  // ---- what is asked
  const group = (name, label, values, onChoose, field = name) => segments({ id: `stabilise-${name}`, label: t(label), values, onChoose, describedBy: `stabilise-${field}-problem` });
  const what = group('what', 'stab.what', WHAT, (value) => stabilise.choose({ what: value }));
  const far = group('far', 'stab.far', FAR, (value) => stabilise.choose({ far: value }));
  const method = group('method', 'stab.method', [], (value) => stabilise.choose({ method: value }), 'filter');
  const window = group('window', 'stab.window', [], (value) => stabilise.choose({ window: value }), 'filter');
  const picks = el('ul', { class: 'st-picks', 'aria-label': t('stab.classes') });
  const span = el('p', { class: 'm t1', role: 'status' });
  const alpha = el('input', { type: 'range', class: 'pt-range', id: 'stabilise-alpha', oninput: () => stabilise.choose({ alpha: alpha.valueAsNumber }) });
  const alphaValue = el('output', { class: 'nw', for: 'stabilise-alpha' });
  const windowRow = el('div', { class: 'st-row' }, el('span', { class: 'lab2' }, t('stab.window')), window.node, el('span', { class: 'f t1' }, t('stab.window_frames')));
  const alphaRow = el('div', { class: 'st-row' }, el('label', { class: 'lab2', for: 'stabilise-alpha', title: t('stab.alpha_help') }, t('stab.alpha')), alpha, alphaValue, el('span', { class: 'f t1 tr' }, t('stab.alpha_help')));
  function check(name, label, help) {
    const input = el('input', { type: 'checkbox', id: `stabilise-${name}`, 'aria-describedby': `stabilise-${name}-help`, onchange: () => stabilise.choose({ [name]: input.checked }) });
    return { input, node: el('label', { class: 'chk' }, input, el('span', {}, t(label), el('span', { class: 'f t1', id: `stabilise-${name}-help` }, t(help)))) };
  }
  const checks = [check('motion', 'stab.motion', 'stab.motion_help'), check('evidence', 'stab.evidence', 'stab.evidence_help'), check('anchors', 'stab.anchors', 'stab.anchors_help')];
  const kept = el('p', { class: 'f t1' });
  const go = el('button', { class: 'btn primary', id: 'stabilise-preview' });
  const form = el('form', { class: 'st-form' },
    el('div', { class: 'st-field' }, what.node, picks, problems.get('what')),
    el('div', { class: 'st-field' }, far.node, span, problems.get('far')),
    el('div', { class: 'st-field' }, method.node, windowRow, alphaRow, problems.get('filter')),
    el('div', { class: 'st-field' }, ...checks.map((one) => one.node), kept),
    problems.get('go'), el('div', { class: 'row end' }, go));
  form.addEventListener('submit', (e) => {
    e.preventDefault();
    if (!go.disabled) stabilise.preview();
  });

  // ---- a job that runs
  const doing = el('b', {});
  const bar = el('progress', { max: '1', 'aria-label': t('stab.progress') });
  const progress = el('p', { class: 'm t1' });
  const cancel = el('button', { type: 'button', class: 'btn', id: 'stabilise-cancel', onclick: stabilise.cancel }, t('stab.cancel'));
  const running = el('div', { class: 'st-form' }, doing, bar, el('div', { class: 'row' }, progress, el('span', { class: 'ml' }), cancel));

  // ---- what came of it
  const settings = el('p', { class: 'm t1' });
  const views = el('div', { class: 'seg fill', role: 'radiogroup', 'aria-label': t('stab.view') });
  const viewInputs = new Map(SIDES.map(([side, label]) => {
    const input = el('input', { type: 'radio', name: 'stabilise-side', value: side, id: `stabilise-side-${side}`, onchange: () => stabilise.setSide(side) });
    views.append(el('label', {}, input, t(label)));
    return [side, input];
  }));
  const view = el('div', { class: 'st-row' }, views, el('span', { class: 'f t1 nw' }, kbd('S'), ' ', t('stab.hold')));
  const figures = el('table', { class: 'st-figures' });
  const layers = el('table', { class: 'st-figures' });
  const layersBox = el('details', { class: 'st-layers' }, el('summary', {}, t('stab.layers')), layers);
  const curve = createCurve({ t, on: { goto: (index) => app.goto(index), visit: stabilise.visit } });
  const mover = (step, glyph, label) => el('button', { type: 'button', class: 'btn ghost icon sm', 'aria-label': t(label), title: t(label), onclick: () => stabilise.visit(step) }, icon(glyph, true));
  const [back, on] = [mover(-1, 'prev', 'stab.previous'), mover(1, 'next', 'stab.next')];
  const changed = el('span', { class: 'm t1' });
  const walk = el('div', { class: 'row st-walk' }, changed, el('span', { class: 'ml' }), back, on);
  const steady = el('p', { class: 'm' }, t('stab.steady'));
  const notes = el('div', { class: 'st-notes f t1' });
  const apply = el('button', { type: 'button', class: 'btn primary', id: 'stabilise-apply', onclick: stabilise.apply });
  const discard = el('button', { type: 'button', class: 'btn', id: 'stabilise-discard', onclick: stabilise.discard }, t('stab.discard'));
  const said = el('p', { class: 'st-done', role: 'status' });
  const undo = el('button', { type: 'button', class: 'link', id: 'stabilise-undo', onclick: stabilise.undo }, t('stab.undo'));
  const applied = el('div', { class: 'row' }, icon('check'), said, undo);
  const again = el('button', { type: 'button', class: 'btn', id: 'stabilise-again', onclick: stabilise.discard }, t('stab.again'));
  const done = el('button', { type: 'button', class: 'btn', id: 'stabilise-done', onclick: stabilise.close }, t('stab.done'));
  const failed = el('p', { class: 'err-line', role: 'status', hidden: true });
  const result = el('div', { class: 'st-form' }, applied, settings, view, steady, figures, curve.node, walk, layersBox, notes, failed);
  const actions = el('div', { class: 'row end st-actions' }, discard, apply, again, done);

  const close = el('button', { type: 'button', class: 'btn ghost icon sm ml', 'aria-label': t('stab.close'), title: t('stab.close'), onclick: stabilise.close }, icon('x'));
  const scrolls = el('div', { class: 'st-body' }, form, running, result);
  const section = el('div', { id: 'stabilise', class: 'sec st', hidden: true, role: 'region', 'aria-label': t('stab.title') },
    el('div', { class: 'ph2' }, el('h2', { class: 'sec' }, t('stab.title')), close), scrolls, actions);
  classes.after(section);
  section.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    e.preventDefault();
    e.stopPropagation();
    if (['setup', 'applied'].includes(get().stabilise.phase)) stabilise.close();
    else app.toCanvas();
  });
  document.addEventListener('pt:stabilise', () => focusOn(get().stabilise));

  /** `hint`: nothing went wrong, but this way it cannot go on. */
  function problem(node, text, hint = false) {
    node.hidden = !text;
    node.classList.toggle('hint-line', hint);
    node.replaceChildren(...(text ? [icon(hint ? 'info' : 'warn', true), el('span', {}, text)] : []));
  }

  function showPicks({ choice, facts }, state, plan) {
    picks.hidden = choice.what !== 'classes';
    if (picks.hidden) return;
    const order = [...state.classes.keys()];
    const listed = (plan.frames ? classesIn(state.lanes, stabilise.span(), state.locked) : []).sort((a, b) => order.indexOf(a.class_id) - order.indexOf(b.class_id));
    const sign = JSON.stringify([listed, choice.classIds]);
    if (picks.dataset.sign === sign) return;
    picks.dataset.sign = sign;
    const focused = picks.contains(document.activeElement) ? document.activeElement.value : null;
    picks.replaceChildren(...listed.map(({ class_id: id, frames }) => {
      const cls = state.classes.get(id);
      const input = el('input', {
        type: 'checkbox', value: String(id), checked: choice.classIds.includes(id),
        onchange: () => stabilise.choose({ classIds: input.checked ? [...choice.classIds, id] : choice.classIds.filter((one) => one !== id) }),
      });
      return el('li', {}, el('label', { class: 'chk' }, input, swatch(cls?.colour ?? '#888888'), el('span', { class: 'tr' }, cls?.name ?? ''), el('span', { class: 'f t1 ml' }, t.n('stab.frames_of', frames))));
    }));
    if (focused) picks.querySelector(`[value="${focused}"]`)?.focus();
  }

  /** The filters of the server and their values; titles are what it calls them. */
  function showFilter({ choice, methods }) {
    if (!method.has(methods.map((one) => one.id))) {
      method.fill(methods.map((one) => one.id));
      for (const one of methods) method.say(one.id, one.title);
    }
    const chosen = methods.find((one) => one.id === choice.method);
    windowRow.hidden = chosen?.parameter !== 'window';
    alphaRow.hidden = chosen?.parameter !== 'alpha';
    method.value = choice.method;
    if (!windowRow.hidden) {
      const values = valuesOf(chosen);
      if (!window.has(values)) {
        window.fill(values);
        for (const value of values) window.say(value, String(value));
      }
      window.value = choice.window;
    } else if (chosen) {
      Object.assign(alpha, { min: chosen.least, max: chosen.most, step: chosen.step, value: choice.alpha });
      alpha.style.setProperty('--v', `${(100 * (choice.alpha - chosen.least)) / (chosen.most - chosen.least)}%`);
      alphaValue.textContent = choice.alpha.toFixed(1);
    }
    for (const { input } of checks) input.checked = choice[input.id.replace('stabilise-', '')];
  }

  function showSetup(now, state) {
    const { choice } = now;
    const plan = stabilise.plan();
    const track = choice.trackId && trackedBy(state.lanes, choice.trackId);
    for (const value of WHAT) what.say(value, value === 'track' && track ? t('stab.what_named', { name: track.name }) : t(WHAT_WORDS[value]));
    what.allow('track', track || choice.what === 'track' ? '' : t('stab.no_track'));
    what.value = choice.what;
    for (const value of FAR) far.say(value, value === 'around' && now.facts.cuts ? t('stab.far_shot') : t(FAR_WORDS[value]));
    far.allow('range', state.range || choice.far === 'range' ? '' : t('stab.no_range'));
    far.value = choice.far;
    showPicks(now, state, plan);
    span.textContent = plan.frames ? t('stab.span', {
      from: spaced(plan.start + 1), to: spaced(plan.stop + 1), frames: t.n('track.frames_n', plan.frames, { n: spaced(plan.frames) }), labelled: spaced(plan.labelled),
    }) : '';
    showFilter(now);
    kept.textContent = [plan.anchors && !choice.anchors && t.n('stab.kept_anchors', plan.anchors, { n: spaced(plan.anchors) }),
      plan.approved && t.n('stab.kept_approved', plan.approved, { n: spaced(plan.approved) }),
      plan.locked && t.n('stab.kept_locked', plan.locked)].filter(Boolean).join(' ');
    for (const [field, node] of problems) {
      if (now.problem?.field === field) problem(node, now.problem.text, now.problem.hint);
      else problem(node, plan.wrong && field === (WRONG_FIELDS[plan.wrong] ?? 'go') ? t(plan.wrong) : '', true);
    }
    // While it is being asked the button keeps the focus.
    go.disabled = Boolean(plan.wrong) || !now.methods.length;
    go.replaceChildren(plan.wrong ? t('stab.preview_none') : t.n('stab.preview', plan.frames, { n: spaced(plan.frames) }), kbd('↵'));
  }

  function showRunning({ job, phase }) {
    doing.textContent = t(phase === 'applying' ? 'stab.applying' : 'stab.previewing');
    if (job.total) bar.value = job.done / job.total;
    else bar.removeAttribute('value');
    progress.textContent = progressOf(job, t);
  }

  let shown = null;
  let drawn = null;
  function showResult(now, state) {
    const { job, phase, methods, choice } = now;
    const { result: found } = job;
    const isApplied = phase === 'applied';
    if (shown !== job) {
      shown = job;
      const chosen = methods.find((one) => one.id === choice.method);
      const title = t('stab.with', { method: chosen?.title ?? choice.method, value: chosen?.parameter === 'alpha' ? t('stab.with_alpha', { n: choice.alpha }) : t('stab.with_window', { n: choice.window }) });
      settings.textContent = [title, choice.motion && t('stab.with_motion'), t('track.range', { from: spaced(found.start + 1), to: spaced(found.stop + 1) })].filter(Boolean).join(' · ');
      figures.replaceChildren(...figureRows(found, isApplied, t));
      const rows = layerRows(found.layers, state, t);
      layersBox.hidden = rows.length < 2;
      layers.replaceChildren(...rows);
      const skipped = found.skipped ? [t.n('stab.skipped', found.skipped)] : [];
      notes.replaceChildren(...skipped.concat(found.notes).map((note) => el('p', {}, note)));
      said.textContent = stabilise.sentenceOf(found);
    }
    if (now.curve && drawn !== now.curve) {
      drawn = now.curve;
      curve.show(drawn, LIMIT);
    }
    applied.hidden = !isApplied;
    undo.hidden = !now.undoable;
    view.hidden = walk.hidden = isApplied || !found.changed;
    steady.hidden = Boolean(found.changed);
    curve.node.hidden = !now.curve;
    apply.hidden = isApplied || !found.changed;
    discard.hidden = isApplied;
    again.hidden = done.hidden = !isApplied;
    apply.replaceChildren(t.n('stab.apply', found.changed, { n: spaced(found.changed) }));
    problem(failed, now.problem?.text ?? '', now.problem?.hint);
    showFrame(state);
  }

  /** What depends on the open frame. */
  function showFrame(state) {
    const { stabilise: now, compared, index } = state;
    if (!now || result.hidden) return;
    curve.place(index);
    if (now.phase !== 'preview') return;
    const places = changedFrames(now.curve);
    const at = places.indexOf(index);
    changed.textContent = `${t('stab.changed_frames')}: ${at < 0 ? spaced(places.length) : `${spaced(at + 1)} / ${spaced(places.length)}`}`;
    for (const [button, step] of [[back, -1], [on, 1]]) button.setAttribute('aria-disabled', String(nextOf(places, index, step) < 0));
    for (const [side, input] of viewInputs) input.checked = compared ? side === (compared.held ? 'before' : compared.side) : side === 'both';
  }

  function focusOn(now) {
    if (!now) return;
    if (now.phase === 'setup') (go.disabled ? what : go).focus();
    else if (now.phase === 'preview') (apply.hidden ? discard : apply).focus();
    else if (now.phase === 'applied') (undo.hidden ? done : undo).focus();
    else cancel.focus();
  }

  let phase = null;
  function update(state) {
    const now = state.stabilise;
    section.hidden = !now;
    classes.hidden = Boolean(now) || Boolean(state.whatIf);
    if (!now) {
      phase = null;
      return;
    }
    const isRunning = ['previewing', 'applying'].includes(now.phase);
    form.hidden = now.phase !== 'setup';
    running.hidden = !isRunning;
    result.hidden = actions.hidden = form.hidden === false || isRunning;
    if (!form.hidden) showSetup(now, state);
    else if (isRunning) showRunning(now);
    else showResult(now, state);
    if (phase === now.phase) return;
    // What had the focus is gone, unless a person went elsewhere meanwhile.
    const held = phase === null || document.activeElement === document.body || section.contains(document.activeElement);
    phase = now.phase;
    scrolls.scrollTop = 0;
    if (held) focusOn(now);
  }
  const SETUP = ['lanes', 'range', 'index', 'locked', 'classes', 'total'];
  store.on((state, seen) => {
    if (seen.has('stabilise')) update(state);
    else if (state.stabilise?.phase === 'setup' && SETUP.some((key) => seen.has(key))) showSetup(state.stabilise, state);
    else if (state.stabilise && (seen.has('index') || seen.has('compared'))) showFrame(state);
  });
}
