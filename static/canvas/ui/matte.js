/** The matte panel, in the place of the class list: target, frames, engine, preview and files; then the job and what came of it. */
import { el, icon, kbd, swatch } from '../dom.js';
import { OVER, WHAT, keyOf, nameOf, objectsIn, runsText, sizeOf } from '../matte.js';
import { FAR, spanOf } from '../stabilise.js';
import { createEngines, createParameters } from './matte_engines.js';
import { createJob } from './matte_job.js';
import { createOutputs } from './matte_outputs.js';
import { segments } from './segments.js';

const WHAT_WORDS = { selected: 'matte.what_selected', several: 'matte.what_several' };
const FAR_WORDS = { whole: 'stab.far_whole', range: 'stab.far_range', around: 'stab.far_around' };
const OVER_WORDS = { checker: 'matte.over_checker', colour: 'matte.over_colour', original: 'matte.over_original', alpha: 'matte.over_alpha' };
const SIDES = { before: 'matte.original', both: 'stab.both', after: 'matte.matte' };
/** Where it is said why it cannot begin. */
const WRONG_FIELDS = { 'matte.no_selected': 'what', 'matte.no_object': 'what', 'matte.no_range': 'far', 'matte.no_output': 'outputs' };
const FIELDS = ['what', 'text', 'far', 'engine', 'outputs', 'parameters', 'go'];
/** More sentences than these are folded away. */
const FOLDED_FROM = 2;
/** Targets without masks that are told one by one. */
const LINES = 4;
const spaced = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');

export function mountMatte(classes, { app, matte, store, t, facts }) {
  const get = store.get;
  const problems = new Map(FIELDS.map((field) => [field, el('div', { role: 'status', hidden: true, id: `matte-${field}-problem` })]));
  const group = (name, label, values, words, onChoose, field = name) => {
    const made = segments({ id: `matte-${name}`, label: t(label), values, onChoose, describedBy: problems.has(field) ? `matte-${field}-problem` : null });
    for (const value of values) made.say(value, t(words[value]));
    return made;
  };
  const head = (label) => el('h3', { class: 'lab2' }, t(label));

  // ---- what, and of which frames
  const what = group('what', 'matte.target', WHAT, WHAT_WORDS, (value) => matte.choose({ what: value }));
  const subject = el('p', { class: 'row mt-subject', id: 'matte-subject' });
  const picks = el('ul', { class: 'st-picks', 'aria-label': t('matte.objects') });
  const together = el('input', { type: 'checkbox', id: 'matte-together', onchange: () => matte.choose({ together: together.checked }) });
  const togetherRow = el('label', { class: 'chk' }, together, el('span', {}, t('matte.together')));
  const words = el('input', { class: 'inp sm', id: 'matte-words', maxlength: '200', autocomplete: 'off', placeholder: t('matte.find_hint'), 'aria-label': t('matte.find'), 'aria-describedby': 'matte-text-problem' });
  const find = el('form', { class: 'row mt-find', role: 'search', 'aria-label': t('matte.find') }, words, el('button', { class: 'btn sm' }, icon('text', true), t('matte.find_go')));
  find.addEventListener('submit', (e) => {
    e.preventDefault();
    if (!words.value.trim()) return;
    problem('text', matte.findText(words.value.trim()), { link: true });
  });
  const far = group('far', 'stab.far', FAR, FAR_WORDS, (value) => matte.choose({ far: value }));
  const span = el('p', { class: 'm t1', role: 'status' });
  const missing = el('div', { class: 'problem warn', id: 'matte-missing', role: 'status', hidden: true });
  const missingText = el('div', {});
  const trackFirst = el('button', { type: 'button', class: 'btn primary', id: 'matte-track-first', onclick: matte.trackFirst }, icon('trackf', true), t('matte.track_first'));
  missing.append(icon('warn'), missingText);

  // ---- how
  const engines = createEngines({ t, choose: matte.choose });
  const parameters = createParameters({ t, facts, choose: matte.choose });
  const outputs = createOutputs({ t, facts, matte });

  // ---- what it would look like
  const over = group('over', 'matte.over', OVER, OVER_WORDS, matte.setOver);
  const sides = group('side', 'stab.view', Object.keys(SIDES), SIDES, matte.setSide);
  const leave = el('button', { type: 'button', class: 'link', id: 'matte-leave', onclick: () => { matte.leavePreview(); look.focus(); } }, t('matte.leave_preview'));
  const seenRow = (label, control) => el('div', { class: 'st-row' }, el('span', { class: 'lab2', 'aria-hidden': 'true' }, t(label)), control.node);
  const seen = el('div', { class: 'mt-seen', id: 'matte-seen', role: 'group', 'aria-label': t('matte.preview_group') },
    seenRow('matte.over_short', over), seenRow('matte.show_short', sides), el('div', { class: 'row' }, el('span', { class: 'f t1 nw' }, kbd('S'), ' ', t('matte.hold')), el('span', { class: 'ml' }), leave));

  // ---- what it takes, and the way on
  const takes = el('p', { class: 'mt-takes', id: 'matte-takes', role: 'status' });
  const limits = el('ul', { class: 'mt-limits f t1', 'aria-label': t('matte.limits') });
  const limitsCount = el('summary', {});
  const limitsBox = el('details', { class: 'st-layers' }, limitsCount);
  const look = el('button', { type: 'button', class: 'btn', id: 'matte-preview', onclick: matte.preview });
  const go = el('button', { type: 'button', class: 'btn primary', id: 'matte-start', onclick: matte.start });

  const setup = el('div', { class: 'st-form' },
    el('div', { class: 'st-field' }, head('matte.target'), what.node, subject, picks, togetherRow, problems.get('what'), find, problems.get('text')),
    el('div', { class: 'st-field' }, head('stab.far'), far.node, span, problems.get('far'), missing),
    el('div', { class: 'st-field' }, head('matte.engine'), engines.node, problems.get('engine')),
    el('div', { class: 'st-field' }, head('matte.files'), outputs.node, problems.get('outputs')),
    el('div', { class: 'st-field' }, parameters.node, problems.get('parameters')));
  const foot = el('div', { class: 'mt-foot' }, seen, takes, limitsBox, limits, problems.get('go'), el('div', { class: 'row end' }, look, go, trackFirst));
  const job = createJob({ t, matte, goto: app.goto });

  const close = el('button', { type: 'button', class: 'btn ghost icon sm ml', 'aria-label': t('matte.close'), title: t('matte.close'), onclick: matte.close }, icon('x'));
  const scrolls = el('div', { class: 'st-body' }, setup, job.node);
  const section = el('div', { id: 'matte', class: 'sec st mt', hidden: true, role: 'region', 'aria-label': t('matte.title') },
    el('div', { class: 'ph2' }, el('h2', { class: 'sec' }, t('matte.title')), close), scrolls, foot);
  classes.after(section);
  section.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') {
      e.preventDefault();
      e.stopPropagation();
      if (get().cutout) {
        matte.leavePreview();
        look.focus();
      } else matte.close();
    } else if (e.key === 'Enter' && e.target.matches('input:not([type=color], [type=number])') && !find.contains(e.target)) {
      e.preventDefault();
      if (!go.disabled) matte.start();
    }
  });
  document.addEventListener('pt:matte', () => focusOn());

  function problem(field, text, { hint = false, link = false, retry = false } = {}) {
    const node = problems.get(field);
    node.hidden = !text;
    node.className = hint ? 'err-line hint-line' : 'problem';
    if (!text) node.replaceChildren();
    else if (hint) node.replaceChildren(icon('info', true), el('span', {}, text), ...actionsOf({ link, retry }));
    else node.replaceChildren(icon('warn'), el('div', {}, el('b', {}, text), ...actionsOf({ link, retry })));
  }
  const actionsOf = ({ link, retry }) => [
    ...(link ? [el('p', {}, el('a', { class: 'link', href: '/engines' }, t('engine.about')))] : []),
    ...(retry ? [el('button', { type: 'button', class: 'btn sm', id: 'matte-again', onclick: matte.again }, icon('retry', true), t('matte.go_on'))] : []),
  ];

  let named = null;
  function showSubject({ choice: { what: chosen, subject: one } }, state) {
    // What the words did not find was found otherwise.
    if (one?.id !== named) problem('text', '');
    named = one?.id;
    subject.hidden = chosen !== 'selected' || !one;
    if (subject.hidden) return;
    const cls = state.classes.get(one.class_id);
    subject.replaceChildren(swatch(cls?.colour ?? '#888888'), el('b', { class: 'tr' }, nameOf(one, state)),
      el('span', { class: 'f t1 nw' }, one.kind === 'track' ? t('matte.a_track') : t('matte.a_region', { n: one.index + 1 })));
  }

  function showPicks({ choice, facts: known }, state) {
    picks.hidden = choice.what !== 'several';
    togetherRow.hidden = picks.hidden || choice.picks.length < 2;
    together.checked = choice.together;
    if (picks.hidden) return;
    const listed = objectsIn(state.lanes, spanOf(choice, state, known.cuts));
    const sign = JSON.stringify([listed, choice.picks]);
    if (picks.dataset.sign === sign) return;
    picks.dataset.sign = sign;
    const chosen = new Set(choice.picks.map(keyOf));
    const focused = picks.contains(document.activeElement) ? document.activeElement.value : null;
    picks.replaceChildren(...listed.map((one) => {
      const cls = state.classes.get(one.class_id);
      const name = nameOf(one, state);
      const pick = { kind: one.kind, id: one.id, class_id: one.class_id };
      const input = el('input', {
        type: 'checkbox', value: keyOf(one), checked: chosen.has(keyOf(one)),
        onchange: () => matte.choose({ picks: input.checked ? [...choice.picks, pick] : choice.picks.filter((other) => keyOf(other) !== keyOf(one)) }),
      });
      return el('li', { class: one.level ? 'sub' : null }, el('label', { class: 'chk' }, input, one.level ? null : swatch(cls?.colour ?? '#888888'),
        el('span', { class: 'tr' }, one.level ? name : t('matte.whole_class', { name })), el('span', { class: 'f t1 ml nw' }, t.n('stab.frames_of', one.frames))));
    }));
    if (!listed.length) picks.replaceChildren(el('li', { class: 'm' }, t('matte.no_labels')));
    if (focused) picks.querySelector(`[value="${CSS.escape(focused)}"]`)?.focus();
  }

  function anchorsText({ targets }) {
    const all = [...new Set(targets.flatMap((one) => one.anchors))].sort((a, b) => a - b);
    return all.length ? t.n('matte.anchors', all.length, { n: spaced(all.length), frames: runsText(all.map((index) => [index, 1]), 6) }) : t('matte.no_anchors');
  }

  /** What each target lacks; `targets` of the estimate come in the order of the plan. */
  function showMissing({ estimate }, engine) {
    const lacking = engine?.needs === 'every' ? (estimate?.targets ?? []).filter((one) => one.missing.length) : [];
    missing.hidden = !lacking.length;
    // What most people want then is to track.
    trackFirst.hidden = missing.hidden;
    go.classList.toggle('primary', missing.hidden);
    if (missing.hidden) return;
    const single = estimate.targets.length === 1;
    const lines = lacking.slice(0, LINES).map(({ name, missing: runs }) => el('p', {}, t.n(single ? 'matte.missing' : 'matte.missing_of', total(runs), { name, frames: runsText(runs) })));
    missingText.replaceChildren(...lines, ...(lacking.length > LINES ? [el('p', {}, t('whatif.more', { n: lacking.length - LINES }))] : []));
  }
  const total = (runs) => runs.reduce((sum, [, length]) => sum + length, 0);

  function showTakes({ estimate, estimating }, plan) {
    takes.hidden = Boolean(plan.wrong) || (!estimate && !estimating);
    takes.classList.toggle('m', estimating);
    if (!estimate) takes.textContent = estimating ? t('matte.estimating') : '';
    else {
      const { seconds, memory_mb: mb, bytes, chunks, tiles } = estimate;
      const parts = [seconds !== null && timeText(seconds, t), mb !== null && t('matte.memory', { n: sizeOf(mb * 2 ** 20) }), t('matte.size', { n: sizeOf(bytes) }),
        chunks > 1 && t.n('matte.chunks', chunks), tiles > 1 && t.n('matte.tiles', tiles)];
      takes.textContent = parts.filter(Boolean).join(' · ');
    }
    const sentences = plan.wrong ? [] : estimate?.limits ?? [];
    limits.replaceChildren(...sentences.map((one) => el('li', {}, one)));
    // A long list does not push the buttons away.
    const folded = sentences.length > FOLDED_FROM;
    limitsBox.hidden = !folded;
    if (folded && limits.parentNode !== limitsBox) limitsBox.append(limits);
    else if (!folded && limits.parentNode === limitsBox) limitsBox.after(limits);
    limits.tabIndex = folded ? 0 : -1; // it scrolls
    limitsCount.textContent = t.n('matte.limits_n', sentences.length);
  }

  function showSetup(now, state) {
    const { choice, estimate } = now;
    const plan = matte.plan();
    what.value = choice.what;
    showSubject(now, state);
    showPicks(now, state);
    far.say('around', now.facts.cuts ? t('stab.far_shot') : t('stab.far_around'));
    far.allow('range', state.range || choice.far === 'range' ? '' : t('stab.no_range'));
    far.value = choice.far;
    span.textContent = plan.frames ? [t('matte.span', { from: spaced(plan.start + 1), to: spaced(plan.stop + 1), frames: t.n('track.frames_n', plan.frames, { n: spaced(plan.frames) }) }),
      estimate && !plan.wrong && anchorsText(estimate)].filter(Boolean).join(' · ') : '';
    const engine = matte.engine();
    showMissing(plan.wrong ? {} : now, engine);
    engines.show(now, engine);
    parameters.show(choice, engine);
    outputs.show(now);
    showTakes(now, plan);
    for (const field of FIELDS) {
      if (field === 'text') continue;
      if (now.problem?.field === field) problem(field, now.problem.text, now.problem);
      else problem(field, plan.wrong && field === WRONG_FIELDS[plan.wrong] ? t(plan.wrong) : '', { hint: true });
    }
    const empty = Boolean(now.problem?.asked) || !engine || parameters.isWrong();
    go.disabled = Boolean(plan.wrong) || empty;
    go.replaceChildren(plan.wrong ? t('matte.start_none') : t.n('matte.start', plan.frames, { n: spaced(plan.frames) }), kbd('↵'));
    const here = matte.canPreview();
    // While it is asked the buttons keep the focus.
    look.disabled = !here || !engine;
    look.setAttribute('aria-busy', String(now.previewing));
    if (plan.groups.length && !here && !now.problem) problem('go', t('matte.not_here'), { hint: true });
    look.replaceChildren(now.previewing ? t('matte.previewing') : t('matte.preview', { n: state.index + 1 }));
    showSeen(state);
  }

  function showSeen({ cutout }) {
    seen.hidden = !cutout;
    if (!cutout) return;
    over.value = cutout.over;
    sides.value = cutout.held ? 'before' : cutout.side;
  }

  function focusOn() {
    const now = get().matte;
    if (!now) return;
    if (now.phase !== 'setup') job.focus();
    else if (!go.disabled) go.focus();
    else what.focus();
  }

  let phase = null;
  function update(state) {
    const now = state.matte;
    section.hidden = !now;
    classes.hidden = Boolean(now) || Boolean(state.stabilise) || Boolean(state.whatIf);
    if (!now) {
      phase = null;
      problem('text', '');
      return;
    }
    setup.hidden = foot.hidden = now.phase !== 'setup';
    job.node.hidden = now.phase === 'setup';
    if (now.phase === 'setup') showSetup(now, state);
    else job.show(now);
    if (phase === now.phase) return;
    const held = phase === null || document.activeElement === document.body || section.contains(document.activeElement);
    phase = now.phase;
    scrolls.scrollTop = 0;
    if (held) focusOn();
  }

  words.addEventListener('input', () => problem('text', ''));
  const SETUP = ['lanes', 'range', 'index', 'classes', 'total', 'cutout'];
  store.on((state, changed) => {
    if (changed.has('matte')) update(state);
    else if (state.matte?.phase === 'setup' && SETUP.some((key) => changed.has(key))) showSetup(state.matte, state);
  });
}

/** 'about 40 s', 'about 3 min', 'about 2 h' */
export function timeText(seconds, t) {
  if (seconds < 90) return t('matte.takes_s', { n: Math.max(1, Math.ceil(seconds)) });
  return seconds < 5400 ? t('matte.takes_min', { n: Math.round(seconds / 60) }) : t('matte.takes_h', { n: Math.round(seconds / 3600) });
}
