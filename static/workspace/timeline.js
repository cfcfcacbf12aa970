/** The timeline: transport buttons, the windowed strip, scrubbing, zoom and its keys. */
import { actionById, isEnabled } from '../canvas/actions.js';
import { el, icon } from '../canvas/dom.js';
import { frameId, frameIndex } from '../canvas/ids.js';
import { keyCaps } from '../canvas/keys.js';
import { cellOf, nextTodo, scrollTo, timecode, valueAt, withValue, zoomOf } from './runs.js';
import { createStrip } from './strip.js';

const START_CELL = 22;
const SCRUB_BUTTONS = ['first-frame', 'previous-frame', 'play', 'next-frame', 'last-frame'];

export function mountTimeline({ root, app, store, transport, data, t, say }) {
  const bar = root.querySelector('#transport') ?? root.appendChild(el('div', { id: 'transport' }));
  const host = root.querySelector('#strip') ?? root.appendChild(el('div', { id: 'strip' }));
  if (!root.hasAttribute('aria-label')) root.setAttribute('aria-label', t('time.label'));
  const { asset } = data;
  const facts = { total: asset?.frame_count ?? 0, fps: asset?.fps ?? null, duration: asset?.duration ?? null, states: [], regions: [] };
  const strip = createStrip(host, { t, thumbUrl: transport.thumbUrl, name: asset?.name ?? '' });
  strip.setIds((index) => frameId(asset.id, index));
  const view = { scroll: 0, width: 0, cell: START_CELL, total: facts.total };
  let zoom = null;
  let scheduled = 0;
  let full = true;

  // ---- transport buttons, made of the action table
  let playButton = null;
  const group = el('div', { class: 'row pt-play' });
  for (const id of SCRUB_BUTTONS) {
    const action = actionById(id);
    const glyph = icon(id === 'last-frame' ? 'first' : action.icon);
    if (id === 'last-frame') glyph.classList.add('pt-flip');
    const button = el('button', {
      type: 'button', class: id === 'play' ? 'btn icon playb' : 'btn ghost icon', 'data-action': id, 'aria-label': t(action.label),
      title: `${t(action.label)} (${keyCaps(action.keys[0]).join('+')})`,
    }, glyph);
    if (id === 'play') playButton = button;
    group.append(button);
  }
  const rate = el('span', { class: 'f t1 hide-s pt-rate', title: t('time.speed') });
  const todo = el('button', { type: 'button', class: 'btn ghost' }, icon('flag'),
    el('span', {}, t('action.next_todo')), el('kbd', { class: 'kbd' }, 'N'));
  const clock = el('span', { class: 'mono m pt-clock hide-s' });
  const slider = el('input', { type: 'range', class: 'pt-range', min: '0', max: '100', step: '1', 'aria-label': t('time.zoom'), title: t('time.zoom') });
  bar.append(group, rate, todo, el('span', { class: 'grow' }), clock, el('span', { class: 'row pt-tzoom' },
    icon('minus', true), slider, icon('plus', true)));

  // ---- painting, once a frame
  function model() {
    const { index } = store.get();
    const state = valueAt(facts.states, index) ?? 'todo';
    const parts = [t('time.value', { n: index + 1, m: view.total }), t(`state.${state}`)];
    if (valueAt(facts.regions, index)) parts.push(t('time.has_regions'));
    return { facts, index, colours, label: parts.join(', ') };
  }
  const styles = getComputedStyle(document.documentElement);
  const token = (name, fallback) => styles.getPropertyValue(name).trim() || fallback;
  const colours = { todo: '#4a4a4a', done: '#8f8f8f', approved: token('--ok', '#62c98d'), regions: token('--text-2', '#b8b8b8') };

  function schedule(everything = true) {
    full ||= everything;
    if (scheduled) return;
    scheduled = requestAnimationFrame(() => {
      scheduled = 0;
      strip.render(view, model(), { playheadOnly: !full });
      full = false;
    });
  }

  function setCell(cell, at = view.width / 2) {
    const frame = (view.scroll + at) / view.cell;
    view.cell = cell;
    view.scroll = Math.min(Math.max(frame * cell - at, 0), Math.max(0, view.total * cell - view.width));
    zoom = zoomOf(cell, view.width, view.total);
    slider.value = String(Math.round(zoom * 100));
    slider.style.setProperty('--v', `${slider.value}%`);
    schedule();
  }

  function measure() {
    const width = strip.width;
    if (!width || width === view.width) return;
    view.width = width;
    if (zoom === null) {
      setCell(Math.max(START_CELL * (width > 1300 ? 2 : 1), width / Math.max(1, view.total)), 0);
      // First look: the open frame in the middle.
      view.scroll = Math.min(Math.max((store.get().index + 0.5) * view.cell - width / 2, 0), Math.max(0, view.total * view.cell - width));
    } else {
      setCell(Math.max(view.cell, width / Math.max(1, view.total)));
    }
    view.scroll = scrollTo(view, store.get().index);
    schedule();
  }
  new ResizeObserver(measure).observe(host);

  // ---- facts
  let asked = 0;
  async function load() {
    if (!asset) return;
    const mine = ++asked;
    try {
      const answer = await transport.timeline(asset.id);
      if (mine !== asked) return;
      Object.assign(facts, answer);
      const before = view.total;
      view.total = answer.total;
      if (before !== answer.total) {
        view.width = 0;
        zoom = null;
      }
      rate.textContent = answer.fps ? t('time.fps', { n: Math.round(answer.fps * 100) / 100 }) : '';
      store.set({ total: answer.total, fps: answer.fps });
      measure();
      schedule();
    } catch (error) {
      say(error.message, 'error');
    }
  }
  let reload = 0;
  const loadSoon = () => {
    clearTimeout(reload);
    reload = setTimeout(load, 400);
  };
  document.addEventListener('pt:regions', (e) => {
    // What is on screen is known here already; the rest comes with the next load.
    const { frameId: shown, regions, index } = store.get();
    if (e.detail?.frame_id === shown) facts.regions = withValue(facts.regions, index, regions.length ? true : null);
    schedule();
    loadSoon();
  });

  store.on((state, changed) => {
    if (changed.has('index')) {
      const next = scrollTo(view, state.index);
      const moved = next !== view.scroll;
      view.scroll = next;
      schedule(moved);
      showClock(state);
    }
    if (changed.has('frame') && state.frame && state.frame.id === state.frameId) {
      const index = frameIndex(state.frame.id);
      if ((valueAt(facts.states, index) ?? 'todo') !== state.frame.state) {
        facts.states = withValue(facts.states, index, state.frame.state);
        schedule();
      }
      showClock(state);
    }
    if (changed.has('playing')) {
      playButton.replaceChildren(icon(state.playing ? 'pause' : 'play'));
      playButton.setAttribute('aria-label', t(state.playing ? 'action.pause' : 'action.play'));
    }
  });
  function showClock({ frame, index, fps }) {
    const known = frame && frameIndex(frame.id) === index ? frame.pts : fps ? index / fps : null;
    clock.textContent = known === null ? '' : timecode(known);
  }

  // ---- pointer: press and drag scrub; the overview jumps; the wheel scrolls, with Ctrl it zooms
  function scrub(track, indexAt) {
    let at = null;
    const go = (e) => {
      const box = track.getBoundingClientRect();
      const index = Math.min(Math.max(indexAt(e.clientX - box.left), 0), view.total - 1);
      if (index !== at) app.goto(at = index);
    };
    track.addEventListener('pointerdown', (e) => {
      if (e.button !== 0 || !view.total) return;
      track.setPointerCapture(e.pointerId);
      at = null;
      go(e);
      const move = (event) => go(event);
      track.addEventListener('pointermove', move);
      const end = () => {
        track.removeEventListener('pointermove', move);
        track.removeEventListener('lostpointercapture', end);
      };
      track.addEventListener('lostpointercapture', end);
    });
  }
  const underStrip = (x) => Math.floor((view.scroll + x) / view.cell);
  for (const track of [strip.thumbsTrack, strip.rulerTrack, strip.laneTrack]) scrub(track, underStrip);
  scrub(strip.overviewTrack, (x) => Math.floor((x / view.width) * view.total));

  host.addEventListener('wheel', (e) => {
    e.preventDefault();
    if (e.ctrlKey) {
      const at = e.clientX - strip.thumbsTrack.getBoundingClientRect().left;
      const least = view.width / Math.max(1, view.total);
      setCell(Math.min(Math.max(view.cell * Math.exp(-e.deltaY * 0.004), Math.min(least, 120)), 120), Math.max(0, at));
    } else {
      const max = Math.max(0, view.total * view.cell - view.width);
      view.scroll = Math.min(Math.max(view.scroll + (e.deltaX || e.deltaY), 0), max);
      schedule();
    }
  }, { passive: false });
  slider.addEventListener('input', () => {
    const playhead = store.get().index * view.cell - view.scroll;
    setCell(cellOf(slider.valueAsNumber / 100, view.width, view.total), playhead >= 0 && playhead <= view.width ? playhead : view.width / 2);
  });
  strip.thumbsTrack.addEventListener('keydown', (e) => {
    const page = Math.max(1, Math.floor(view.width / view.cell));
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: page, PageDown: -page }[e.key];
    if (step === undefined && e.key !== 'Home' && e.key !== 'End') return;
    e.preventDefault();
    if (e.key === 'Home') app.goto(0);
    else if (e.key === 'End') app.goto(view.total - 1);
    else app.step(step * (e.shiftKey && Math.abs(step) === 1 ? 10 : 1));
  });

  const title = actionById('next-todo');
  todo.addEventListener('click', () => { if (isEnabled(title, store.get())) title.run(app); });
  load();
  measure();
  return { nextTodo: (index) => nextTodo(facts.states, index, view.total), reload: load, get cells() { return strip.cells; } };
}
