/**
 * The strip above the lanes: whole asset, ruler, thumbs, playhead. Thumbs exist only for frames in view, however long the
 * asset is, and ask for their picture once the strip stands still; marks that carry no picture are canvases.
 */
import { el, icon } from '../canvas/dom.js';
import { cleared } from './palette.js';
import { paintRuler, spaced } from './ruler.js';
import { valueAt, visibleRuns, windowOf } from './runs.js';

const STATE_HEIGHT = { todo: 0.28, done: 0.62, approved: 1 };
const STILL_MS = 90;
const px = (value) => `${Math.round(value * 100) / 100}px`;

/** One row = label + track. */
function row(name, label) {
  const track = el('div', { class: `pt-track pt-${name}` });
  return { track, nodes: [el('div', { class: `pt-label pt-${name}-label` }, label), track] };
}

/** @param below nodes of a row under the thumbs: its label, its track, and what lies over it */
export function createStrip(host, { t, thumbUrl, name, below }) {
  const overview = row('overview', t('time.whole'));
  const ruler = row('ruler', '');
  const thumbs = row('thumbs', t('time.frames'));
  const whole = el('canvas', { 'aria-hidden': 'true' });
  const scale = el('canvas', { 'aria-hidden': 'true' });
  const bracket = el('div', { class: 'pt-window', 'aria-hidden': 'true' });
  const needle = el('div', { class: 'pt-needle', 'aria-hidden': 'true' });
  overview.track.append(whole, needle, bracket);
  ruler.track.append(scale);
  const flag = el('span', {});
  const playhead = el('div', { class: 'pt-playhead', 'aria-hidden': 'true' }, flag);
  const grid = el('div', { class: 'pt-grid' }, ...overview.nodes, ...ruler.nodes, ...thumbs.nodes, ...below, playhead);
  host.append(grid);
  thumbs.track.setAttribute('role', 'slider');
  thumbs.track.setAttribute('aria-label', t('time.strip', { name }));
  thumbs.track.tabIndex = 0;

  const cells = new Map();
  const spare = [];
  let idOf = () => '';
  let still = 0;
  let drawnWhole = null;

  function makeThumb() {
    const image = el('img', { alt: '', draggable: 'false', decoding: 'async', hidden: true });
    image.addEventListener('error', () => { image.hidden = true; });
    image.addEventListener('load', () => { image.hidden = false; });
    return el('div', { class: 'pt-thumb' }, image, el('u', { hidden: true }));
  }

  function loadThumbs() {
    for (const [index, node] of cells) {
      const url = thumbUrl(idOf(index));
      if (node.dataset.of === url) continue;
      node.dataset.of = url;
      node.firstChild.src = url;
    }
  }

  function placeThumbs(view, span, states) {
    const wanted = new Set();
    for (let i = Math.floor(span.from / span.every) * span.every; i < span.to; i += span.every) wanted.add(i);
    for (const [index, node] of cells) {
      if (wanted.has(index)) continue;
      cells.delete(index);
      node.hidden = true;
      spare.push(node);
    }
    const wide = span.every * view.cell - 1;
    for (const index of wanted) {
      let node = cells.get(index);
      if (!node) {
        node = spare.pop() ?? thumbs.track.appendChild(makeThumb());
        node.hidden = false;
        if (node.dataset.of !== thumbUrl(idOf(index))) node.firstChild.hidden = true;
        cells.set(index, node);
      }
      node.style.transform = `translateX(${px(index * view.cell - view.scroll)})`;
      node.style.width = px(Math.min(wide, (view.total - index) * view.cell - 1));
      const state = valueAt(states, index) ?? 'todo';
      if (node.dataset.state !== state) {
        node.dataset.state = state;
        node.lastChild.hidden = state === 'todo';
        node.lastChild.replaceChildren(...(state === 'todo' ? [] : [icon(state === 'approved' ? 'shok' : 'check', true)]));
      }
    }
    clearTimeout(still);
    still = setTimeout(loadThumbs, STILL_MS);
  }

  /** Low, middle and full height for todo, done and approved; a line below for regions, amber where one is to review. */
  function drawWhole({ width, total }, { states, regions }, flagged, ink) {
    const key = [width, total, states, regions, flagged, ink];
    if (drawnWhole?.every((value, i) => value === key[i])) return;
    drawnWhole = key;
    const h = overview.track.clientHeight;
    const c = cleared(whole, width, h);
    const low = 3;
    const high = h - 6;
    const cell = width / total;
    const bar = (start, length, state) => {
      c.fillStyle = ink[state === 'approved' ? 'ok' : state];
      c.fillRect(start * cell, h - low - high * STATE_HEIGHT[state], Math.max(1, length * cell), high * STATE_HEIGHT[state]);
    };
    bar(0, total, 'todo');
    for (const [start, length, state] of states) {
      if (state === 'todo') continue;
      if (length * cell >= 1) c.clearRect(start * cell, 0, length * cell, h);
      bar(start, length, state);
    }
    // A hairline between frames as long as there is room for one.
    if (cell >= 5) for (let i = 1; i < total; i++) c.clearRect(Math.round(i * cell) - 0.5, 0, 1, h);
    c.fillStyle = ink.text2;
    for (const [start, length] of visibleRuns(regions, cell)) c.fillRect(start * cell, h - 2, Math.max(1, length * cell - 0.5), 1.5);
    c.fillStyle = ink.warn;
    for (const [start, length] of visibleRuns(flagged, cell)) c.fillRect(start * cell, h - 3, Math.max(1.5, length * cell - 0.5), 2.5);
  }

  return {
    grid, overviewTrack: overview.track, thumbsTrack: thumbs.track, rulerTrack: ruler.track,
    get width() { return thumbs.track.clientWidth; },
    setIds(fn) {
      idOf = fn;
    },
    /** @param view {scroll, width, cell, total} @param model {facts, flagged, index, label, fps} */
    render(view, model, ink, { playheadOnly = false } = {}) {
      if (!view.width || !view.total) return;
      // As wide as it is high would crop it: a thumb follows the height of its row.
      const span = windowOf({ ...view, thumb: Math.max(60, thumbs.track.clientHeight * 1.1) });
      const { index } = model;
      if (!playheadOnly) {
        placeThumbs(view, span, model.facts.states);
        const height = ruler.track.clientHeight;
        paintRuler(cleared(scale, view.width, height), { width: view.width, height }, view, model.fps,
          { text: ink.text2, quiet: ink.text3, mark: ink.tick, strong: ink.mark, font: ink.font });
        drawWhole(view, model.facts, model.flagged, ink);
        const all = view.total * view.cell;
        bracket.style.transform = `translateX(${px((view.scroll / all) * view.width)})`;
        bracket.style.width = px(Math.max(6, Math.min(1, view.width / all) * view.width));
      }
      const covering = Math.floor(index / span.every) * span.every;
      for (const [i, node] of cells) node.classList.toggle('now', i === covering);
      needle.style.transform = `translateX(${px(((index + 0.5) / view.total) * view.width)})`;
      const at = index * view.cell - view.scroll + view.cell / 2;
      playhead.hidden = at < 0 || at > view.width;
      playhead.style.setProperty('--at', px(at));
      flag.textContent = spaced(index + 1);
      thumbs.track.setAttribute('aria-valuemin', '1');
      thumbs.track.setAttribute('aria-valuemax', String(view.total));
      thumbs.track.setAttribute('aria-valuenow', String(index + 1));
      thumbs.track.setAttribute('aria-valuetext', model.label);
    },
  };
}
