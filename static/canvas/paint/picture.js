/** Image, label fill, class borders, pixel grid. Cold: repainted when the view, the map or a colour changes. */
import { classLoops, classRanks, colourTable, colourise } from '../labelmap.js';
import { GRID_FROM, PIXELATED_FROM } from '../view.js';
import { screenPath } from './paths.js';

const REST_MS = 120;

/** `again` is called when borders that were not traced yet can be drawn, or the picture can be drawn better. */
export function createPicture(again) {
  const fill = document.createElement('canvas');
  const fillContext = fill.getContext('2d');
  let pixels = null;
  let waiting = null;
  let filled = { map: null, style: '' };
  let shown = { image: null, view: null };
  let rests = false;
  let resting = 0;
  const groups = new WeakMap();

  /** The best smoothing makes a pyramid of every picture: a new one is on screen sooner without, and gets it at rest. */
  function smoothing(state) {
    if (state.image !== shown.image || state.view !== shown.view) {
      shown = { image: state.image, view: state.view };
      rests = false;
      clearTimeout(resting);
      resting = 0;
    }
    if (state.view.scale >= 1 || state.playing) return 'low';
    if (!rests && !resting) {
      resting = setTimeout(() => {
        resting = 0;
        rests = true;
        again();
      }, REST_MS);
    }
    return rests ? 'high' : 'low';
  }

  function styleOf(state, bare) {
    return { classes: state.classes, hidden: state.hidden, opacityOf: state.opacityOf, opacity: state.opacity, bare };
  }

  function colour(state, bare) {
    const style = styleOf(state, bare);
    const sign = JSON.stringify([state.hidden, state.opacityOf, state.opacity, bare, [...state.classes.values()].map((c) => c.colour)]);
    if (filled.map === state.map && filled.style === sign) return;
    const { map } = state;
    if (fill.width !== map.width || fill.height !== map.height) {
      fill.width = map.width;
      fill.height = map.height;
    }
    if (pixels?.width !== map.width || pixels.height !== map.height) pixels = fillContext.createImageData(map.width, map.height);
    colourise(map.ids, colourTable(map, style), new Uint32Array(pixels.data.buffer));
    fillContext.putImageData(pixels, 0, 0);
    filled = { map, style: sign };
  }

  /** Tracing waits until the fill is on screen, and in playback until the picture rests: then no frame has borders. */
  function traced(state) {
    const { map } = state;
    if (state.playing) return false;
    const exact = state.view.scale >= PIXELATED_FROM;
    if (map[exact ? 'corners' : 'loops']) return true;
    if (waiting !== map) {
      waiting = map;
      setTimeout(() => {
        waiting = null;
        classLoops(map, exact);
        again();
      });
    }
    return false;
  }

  /** Borders by class, low rank first, so that the class on top keeps its colour. */
  function borders(state) {
    const loops = classLoops(state.map, state.view.scale >= PIXELATED_FROM);
    if (!groups.has(loops)) {
      const byClass = new Map();
      for (const loop of loops) {
        if (!byClass.has(loop.value)) byClass.set(loop.value, []);
        byClass.get(loop.value).push(loop);
      }
      groups.set(loops, byClass);
    }
    const ranks = classRanks([...state.classes.values()]);
    return [...groups.get(loops)].sort((a, b) => (ranks.get(a[0]) ?? 0) - (ranks.get(b[0]) ?? 0));
  }

  return function paint(c, { width, height }, state) {
    const { view } = state;
    if (!state.width) return;
    const w = state.width * view.scale;
    const h = state.height * view.scale;
    const bare = !state.layers.image;
    c.imageSmoothingEnabled = view.scale < PIXELATED_FROM;
    c.imageSmoothingQuality = smoothing(state);
    c.fillStyle = '#000';
    c.fillRect(view.x, view.y, w, h);
    if (!bare && state.image) c.drawImage(state.image, view.x, view.y, w, h);
    if (state.layers.labels && state.map) {
      colour(state, bare);
      c.drawImage(fill, view.x, view.y, w, h);
      c.lineJoin = 'round';
      c.lineWidth = 1.25;
      for (const [classId, loops] of traced(state) ? borders(state) : []) {
        const cls = state.classes.get(classId);
        if (!cls || state.hidden[classId]) continue;
        c.globalAlpha = 0.95 * Math.min(1, (state.opacityOf[classId] ?? 1) * 4);
        c.strokeStyle = cls.colour;
        c.stroke(screenPath(loops, view));
      }
      c.globalAlpha = 1;
    }
    if (view.scale >= GRID_FROM) grid(c, view, width, height, state);
  };
}

function grid(c, view, width, height, state) {
  const x1 = Math.max(0, Math.floor(-view.x / view.scale));
  const y1 = Math.max(0, Math.floor(-view.y / view.scale));
  const x2 = Math.min(state.width, Math.ceil((width - view.x) / view.scale));
  const y2 = Math.min(state.height, Math.ceil((height - view.y) / view.scale));
  c.beginPath();
  for (let x = x1; x <= x2; x++) {
    const sx = Math.round(x * view.scale + view.x) + 0.5;
    c.moveTo(sx, y1 * view.scale + view.y);
    c.lineTo(sx, y2 * view.scale + view.y);
  }
  for (let y = y1; y <= y2; y++) {
    const sy = Math.round(y * view.scale + view.y) + 0.5;
    c.moveTo(x1 * view.scale + view.x, sy);
    c.lineTo(x2 * view.scale + view.x, sy);
  }
  c.lineWidth = 1;
  c.strokeStyle = 'rgb(0 0 0 / .35)';
  c.stroke();
}
