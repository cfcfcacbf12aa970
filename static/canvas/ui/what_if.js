/** The what-if panel: classes that can be moved up and down, what each gains and loses, and the frames that change. */
import { el, icon, swatch } from '../dom.js';

const MOVES = 6;
const count = (n) => n.toLocaleString('en').replaceAll(',', '\u202f');
const UNFINISHED = new Set(['waiting', 'running']);

export function mountWhatIf(classes, { app, whatIf, store, t, assetId, projectId }) {
  if (!classes) return;
  const list = el('ul', { class: 'wi-list', 'aria-label': t('whatif.list') });
  const sum = el('p', { class: 'm t1', role: 'status' });
  const found = el('div', { class: 'wi-found' });
  const button = (label, tone, run) => el('button', { type: 'button', class: `btn sm ${tone}`, onclick: run }, t(label));
  const reset = button('whatif.reset', 'ghost', whatIf.reset);
  const all = button('whatif.all', '', whatIf.all);
  const save = button('whatif.apply', 'primary', whatIf.apply);
  save.title = t('whatif.apply_title');
  const close = el('button', { type: 'button', class: 'btn ghost icon sm ml', 'aria-label': t('whatif.close'), title: t('whatif.close'), onclick: whatIf.close }, icon('x'));
  const section = el('div', { id: 'what-if', class: 'sec wi', hidden: true, role: 'region', 'aria-label': t('whatif.title') },
    el('div', { class: 'ph2' }, el('h2', { class: 'sec' }, t('whatif.title')), el('span', { class: 'f t1 tr' }, t('whatif.how')), close),
    list, sum, el('div', { class: 'row wi-do' }, reset, el('span', { class: 'ml' }), all, save), found);
  classes.after(section);

  const rowOf = (target) => target.closest?.('[data-class]');
  const placeOf = (id) => store.get().whatIf.classes.findIndex((cls) => cls.id === id);
  const focusOn = (id, selector = null) => {
    const row = list.querySelector(`[data-class="${id}"]`);
    for (const one of list.children) one.tabIndex = one === row ? 0 : -1;
    (selector && row?.querySelector(`${selector}:not([disabled])`) || row)?.focus();
  };

  function row(cls, i, { classes: rows, saved, answer }) {
    const was = saved.find((old) => old.id === cls.id).priority;
    const sums = answer?.classes.find((one) => one.class_id === cls.id);
    const mover = (id, step, off, glyph) => el('button', {
      type: 'button', class: `ib ${id}`, tabindex: '-1', disabled: off, 'aria-label': t(id === 'higher' ? 'whatif.up' : 'whatif.down', { name: cls.name }),
      onclick: () => { whatIf.move(cls.id, i + step); focusOn(cls.id, `.${id}`); },
    }, icon(glyph, true));
    return el('li', {
      class: `wi-row${was === cls.priority ? '' : ' tried'}`, 'data-class': String(cls.id), draggable: 'true', tabindex: i ? '-1' : '0',
      'aria-label': t('whatif.row', { name: cls.name, priority: cls.priority, gained: count(sums?.gained ?? 0), lost: count(sums?.lost ?? 0) }),
    }, el('span', { class: 'gr' }, icon('grip')), swatch(cls.colour), el('span', { class: 'tr nm', title: cls.name }, cls.name),
    el('span', { class: 'n' }, sums?.gained ? el('span', { class: 'okc' }, `+${count(sums.gained)} `) : null, sums?.lost ? el('span', { class: 'errc' }, `−${count(sums.lost)}`) : null),
    mover('higher', -1, i === 0, 'up'), mover('lower', 1, i === rows.length - 1, 'dn'),
    el('span', { class: 'pr', title: was === cls.priority ? undefined : t('whatif.was', { priority: was }) }, String(cls.priority)));
  }

  list.addEventListener('keydown', (e) => {
    const own = rowOf(e.target);
    if (!own) return;
    const step = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    const id = Number(own.dataset.class);
    if (step && e.altKey) {
      whatIf.move(id, placeOf(id) + step);
      focusOn(id);
    } else if (step || e.key === 'Home' || e.key === 'End') {
      const rows = [...list.children];
      const to = step ? rows.indexOf(own) + step : e.key === 'Home' ? 0 : rows.length - 1;
      const next = rows[Math.min(Math.max(to, 0), rows.length - 1)];
      for (const one of rows) one.tabIndex = one === next ? 0 : -1;
      next.focus();
    } else return;
    e.preventDefault();
    e.stopPropagation();
  });
  section.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    e.preventDefault();
    e.stopPropagation();
    whatIf.close();
    document.querySelector('[data-action="what-if"]')?.focus();
  });

  let dragged = null;
  const clear = () => list.querySelectorAll('.drop-before, .drop-after').forEach((one) => one.classList.remove('drop-before', 'drop-after'));
  const lower = (target, e) => e.clientY > target.getBoundingClientRect().top + target.offsetHeight / 2;
  list.addEventListener('dragstart', (e) => {
    dragged = Number(rowOf(e.target).dataset.class);
    e.dataTransfer.effectAllowed = 'move';
    e.dataTransfer.setData('text/plain', String(dragged));
  });
  list.addEventListener('dragover', (e) => {
    const target = rowOf(e.target);
    if (dragged === null || !target) return;
    e.preventDefault();
    clear();
    target.classList.add(lower(target, e) ? 'drop-after' : 'drop-before');
  });
  list.addEventListener('drop', (e) => {
    const target = rowOf(e.target);
    if (dragged === null || !target) return;
    e.preventDefault();
    const from = placeOf(dragged);
    const to = placeOf(Number(target.dataset.class)) + (lower(target, e) ? 1 : 0);
    whatIf.move(dragged, to > from ? to - 1 : to);
  });
  list.addEventListener('dragend', () => {
    dragged = null;
    clear();
  });

  function frameLink(one) {
    const here = one.asset_id === assetId;
    return el('li', {}, el('a', {
      class: 'link', href: `/workspace/${projectId}?asset=${one.asset_id}&frame=${one.index + 1}`,
      onclick: (e) => {
        if (!here || e.ctrlKey || e.metaKey || e.shiftKey) return;
        e.preventDefault();
        app.goto(one.index);
      },
    }, t(here ? 'whatif.frame' : 'whatif.frame_else', { n: one.index + 1 })), el('span', { class: 'm ml' }, t('whatif.px', { n: count(one.pixels) })));
  }

  function showJob({ job, classes: rows }) {
    if (!job) return [];
    if (UNFINISHED.has(job.state)) {
      const bar = el('progress', { max: String(Math.max(1, job.total)), 'aria-label': t('whatif.progress') });
      bar.value = job.done;
      return [el('div', { class: 'row' }, bar, el('span', { class: 'm t1 nw' }, `${count(job.done)} / ${count(job.total)}`), button('whatif.cancel', 'danger ml', whatIf.cancel))];
    }
    if (job.state !== 'done') return [el('p', { class: job.state === 'failed' ? 'errc t1' : 'm t1' }, job.reason)];
    const { changed, frames, pixels, moves, rows: listed, notes = [] } = job.result;
    const nameOf = (id) => rows.find((cls) => cls.id === id)?.name ?? t('canvas.unlabelled');
    return [
      el('p', { class: 'm t1' }, t('whatif.total', { changed: count(changed), frames: count(frames), pixels: count(pixels) })),
      el('ul', { class: 'wi-moves t1' }, ...moves.slice(0, MOVES).map(([from, to, n]) => el('li', {}, el('span', { class: 'tr' }, `${nameOf(from)} → ${nameOf(to)}`), el('span', { class: 'm ml' }, t('whatif.px', { n: count(n) }))))),
      el('ul', { class: 'wi-frames t1', 'aria-label': t('whatif.frames') }, ...listed.map(frameLink)),
      ...notes.map((note) => el('p', { class: 'm t1' }, note)),
      ...(changed > listed.length ? [el('p', { class: 'f t1' }, t('whatif.more', { n: count(changed - listed.length) }))] : []),
    ];
  }

  /** New rows in the place of the old ones; the focus and the scroll position stay. */
  function showRows(state) {
    const focused = document.activeElement;
    const id = list.contains(focused) ? rowOf(focused).dataset.class : null;
    const part = id && focused.matches('.higher, .lower') ? `.${focused.classList.contains('higher') ? 'higher' : 'lower'}` : null;
    const { scrollTop } = list;
    list.replaceChildren(...state.classes.map((cls, i) => row(cls, i, state)));
    list.scrollTop = scrollTop;
    if (id) focusOn(id, part);
  }

  let shownRows = {};
  let shownJob = null;
  function update({ whatIf: state }) {
    section.hidden = !state;
    classes.hidden = Boolean(state);
    if (!state) return;
    if (shownRows.classes !== state.classes || shownRows.answer !== state.answer) {
      shownRows = state;
      showRows(state);
    }
    const tried = whatIf.isTried();
    sum.textContent = !tried ? t('whatif.hint') : state.answer
      ? t('whatif.here', { n: count(state.answer.pixels), percent: ((100 * state.answer.pixels) / state.answer.area).toFixed(1) }) : '';
    for (const one of [reset, all, save]) one.disabled = !tried || state.busy;
    if (state.job && UNFINISHED.has(state.job.state)) all.disabled = true;
    if (shownJob !== state.job) {
      shownJob = state.job;
      found.replaceChildren(...showJob(state));
    }
  }
  store.on((state, changed) => {
    if (!changed.has('whatIf')) return;
    const wasHidden = section.hidden;
    update(state);
    if (wasHidden && state.whatIf) list.firstElementChild?.focus();
  });
}
