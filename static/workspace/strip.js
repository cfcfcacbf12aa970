/**
 * Draws the strip: overview, ruler, thumbs, states, regions, playhead. Cells exist only for frames in view, however
 * long the asset is; marks that carry no text are two small canvases.
 */
import { el, icon } from '../canvas/dom.js';
import { runsWithin, valueAt, windowOf } from './runs.js';

const STATE_HEIGHT = { todo: 0.28, done: 0.62, approved: 1 };
const px = (value) => `${Math.round(value * 100) / 100}px`;

/** One row = label + track. */
function row(name, label) {
  const track = el('div', { class: `pt-track pt-${name}` });
  return { track, nodes: [el('div', { class: `pt-label pt-${name}-label` }, label), track] };
}

export function createStrip(host, { t, thumbUrl, name }) {
  const overview = row('overview', t('time.whole'));
  const ruler = row('ruler', '');
  const thumbs = row('thumbs', t('time.frames'));
  const lane = row('lane', t('time.regions'));
  const whole = el('canvas', { 'aria-hidden': 'true' });
  const bracket = el('div', { class: 'pt-window', 'aria-hidden': 'true' });
  const needle = el('div', { class: 'pt-needle', 'aria-hidden': 'true' });
  overview.track.append(whole, needle, bracket);
  overview.track.title = t('time.overview', { name });
  const regions = el('canvas', { 'aria-hidden': 'true' });
  lane.track.append(regions);
  const flag = el('span', {});
  const playhead = el('div', { class: 'pt-playhead', 'aria-hidden': 'true' }, flag);
  const grid = el('div', { class: 'pt-grid' }, ...overview.nodes, ...ruler.nodes, ...thumbs.nodes, ...lane.nodes, playhead);
  host.append(grid);
  thumbs.track.setAttribute('role', 'slider');
  thumbs.track.setAttribute('aria-label', t('time.strip', { name }));
  thumbs.track.tabIndex = 0;

  const cells = new Map();
  const marks = new Map();
  let idOf = () => '';

  /** Reuse what stays, make what comes, drop what leaves. */
  function keep(pool, wanted, parent, make) {
    for (const [key, node] of pool) {
      if (!wanted.has(key)) {
        node.remove();
        pool.delete(key);
      }
    }
    for (const key of wanted) {
      if (pool.has(key)) continue;
      const node = make(key);
      pool.set(key, node);
      parent.append(node);
    }
  }

  function makeThumb(index) {
    const image = el('img', { alt: '', draggable: 'false', decoding: 'async', src: thumbUrl(idOf(index)) });
    image.addEventListener('error', () => image.remove());
    return el('div', { class: 'pt-thumb' }, image);
  }

  function canvasSize(canvas, width, height) {
    const ratio = globalThis.devicePixelRatio || 1;
    const w = Math.max(1, Math.round(width * ratio));
    const h = Math.max(1, Math.round(height * ratio));
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
    }
    const c = canvas.getContext('2d');
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, height);
    return c;
  }

  function drawOverview({ width, total, facts, colours }) {
    const h = overview.track.clientHeight;
    const c = canvasSize(whole, width, h);
    const low = 3;
    const high = h - 6;
    const bar = (start, length, state) => {
      const x = (start / total) * width;
      const w = Math.max(1, (length / total) * width);
      const height = high * STATE_HEIGHT[state];
      c.fillStyle = colours[state];
      c.fillRect(x, h - low - height, w, height);
    };
    bar(0, total, 'todo');
    for (const [start, length, state] of facts.states) {
      if (state === 'todo') continue;
      c.clearRect((start / total) * width, 0, (length / total) * width, h);
      bar(start, length, state);
    }
    // A hairline between frames as long as there is room for one.
    if (width / total >= 5) for (let i = 1; i < total; i++) c.clearRect(Math.round((i / total) * width) - 0.5, 0, 1, h);
    c.fillStyle = colours.regions;
    for (const [start, length] of facts.regions) {
      c.fillRect((start / total) * width, h - 2, Math.max(1, (length / total) * width - 0.5), 1.5);
    }
  }

  function drawLane(view, { from, to }, { facts, colours }) {
    const c = canvasSize(regions, view.width, lane.track.clientHeight);
    const h = lane.track.clientHeight;
    for (const [start, length] of runsWithin(facts.regions, from, to)) {
      c.fillStyle = colours.regions;
      c.beginPath();
      c.roundRect(start * view.cell - view.scroll, (h - 8) / 2, Math.max(2, length * view.cell - 1), 8, 2);
      c.fill();
    }
  }

  function marksFor({ total }, { from, to, tick, mark }) {
    const out = new Set();
    // Numbers count from 1, so that the mark says what the frame field says.
    for (let n = Math.ceil((from + 1) / tick) * tick; n <= Math.min(to, total); n += tick) out.add(`${n}${n % mark === 0 ? 'b' : ''}`);
    return out;
  }

  return {
    grid, overviewTrack: overview.track, thumbsTrack: thumbs.track, rulerTrack: ruler.track, laneTrack: lane.track,
    get width() { return thumbs.track.clientWidth; },
    setIds(fn) {
      idOf = fn;
      for (const node of cells.values()) node.remove();
      cells.clear();
    },
    /** @param view {scroll, width, cell, total} @param model {facts, index, colours, label} */
    render(view, model, { playheadOnly = false } = {}) {
      if (!view.width || !view.total) return;
      // As wide as it is high would crop it: a thumb follows the height of its row.
      const span = windowOf({ ...view, thumb: Math.max(60, thumbs.track.clientHeight * 1.1) });
      const x = (index) => index * view.cell - view.scroll;
      const { index } = model;
      if (!playheadOnly) {
        const first = Math.floor(span.from / span.every) * span.every;
        const wanted = new Set();
        for (let i = first; i < span.to; i += span.every) wanted.add(i);
        keep(cells, wanted, thumbs.track, makeThumb);
        const wide = span.every * view.cell - 1;
        for (const [i, node] of cells) {
          node.style.transform = `translateX(${px(x(i))})`;
          node.style.width = px(Math.min(wide, (view.total - i) * view.cell - 1));
          const state = valueAt(model.facts.states, i) ?? 'todo';
          if (node.dataset.state !== state) {
            node.dataset.state = state;
            node.querySelector('u')?.remove();
            if (state !== 'todo') node.append(el('u', {}, icon(state === 'approved' ? 'shok' : 'check', true)));
          }
        }
        keep(marks, marksFor(view, span), ruler.track, (key) => (key.endsWith('b')
          ? el('i', { class: 'b' }, el('b', {}, key.slice(0, -1))) : el('i')));
        for (const [key, node] of marks) node.style.transform = `translateX(${px(x(Number.parseInt(key, 10) - 1))})`;
        drawOverview({ ...view, ...model });
        drawLane(view, span, model);
        const all = view.total * view.cell;
        bracket.style.transform = `translateX(${px((view.scroll / all) * view.width)})`;
        bracket.style.width = px(Math.max(6, Math.min(1, view.width / all) * view.width));
      }
      const covering = Math.floor(index / span.every) * span.every;
      for (const [i, node] of cells) node.classList.toggle('now', i === covering);
      needle.style.transform = `translateX(${px(((index + 0.5) / view.total) * view.width)})`;
      const at = x(index) + view.cell / 2;
      playhead.hidden = at < 0 || at > view.width;
      playhead.style.setProperty('--at', px(at));
      flag.textContent = String(index + 1);
      thumbs.track.setAttribute('aria-valuemin', '1');
      thumbs.track.setAttribute('aria-valuemax', String(view.total));
      thumbs.track.setAttribute('aria-valuenow', String(index + 1));
      thumbs.track.setAttribute('aria-valuetext', model.label);
    },
    get cells() { return cells.size; },
  };
}
