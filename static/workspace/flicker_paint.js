/** Draws the flicker row: bars against a dashed limit. Above it striped amber, changed since hollow, not measured dotted. */
import { LIMIT_AT, heightOf } from './flicker.js';

/**
 * @param c 2D context in CSS px, cleared @param size {width, height}
 * @param bars as `barsIn` has them
 * @param model {limit, series, loaded: whether it is known what was measured}
 */
export function paintFlicker(c, { width, height }, view, bars, { limit, series, loaded }, ink) {
  const { cell, scroll, total } = view;
  const floor = height - 1;
  const tall = height - 3;
  const x = (at) => at * cell - scroll;
  const end = Math.min(width, x(total));
  let gap = null;
  const dotted = (to) => {
    if (gap !== null && loaded) dots(c, gap, to, floor, scroll, ink);
    gap = null;
  };
  for (const bar of bars) {
    const left = x(bar.start);
    if (!bar.known) {
      gap ??= Math.max(0, left);
      continue;
    }
    dotted(left);
    if (bar.cut) {
      c.fillStyle = ink.limit;
      c.fillRect(Math.round(left), 0, 1, height);
    }
    if (bar.value === null) continue;
    const wide = Math.max(1, bar.frames * cell - (cell * bar.frames >= 5 ? 2 : cell * bar.frames >= 3 ? 1 : 0));
    const high = Math.max(1.5, Math.round(heightOf(bar.value, limit) * tall));
    paintBar(c, bar, left, floor - high, wide, high, ink);
  }
  dotted(end);
  // The limit is one of what motion does not explain.
  if (series !== 'warped' || !loaded) return;
  c.save();
  c.strokeStyle = ink.limit;
  c.setLineDash([4, 3]);
  c.lineDashOffset = scroll % 7;
  c.beginPath();
  const y = Math.round(floor - LIMIT_AT * tall) + 0.5;
  c.moveTo(0, y);
  c.lineTo(end, y);
  c.stroke();
  c.restore();
}

function paintBar(c, { over, stale }, left, top, wide, high, ink) {
  if (stale) {
    c.fillStyle = over ? ink.flagged : ink.todo;
    c.globalAlpha = over ? 0.45 : 1;
    c.fillRect(left, top, wide, high);
    c.globalAlpha = 1;
    if (wide < 4) return;
    c.save();
    c.strokeStyle = over ? ink.warn : ink.done;
    c.setLineDash([2, 2]);
    c.strokeRect(left + 0.5, top + 0.5, wide - 1, Math.max(1, high - 0.5));
    c.restore();
    return;
  }
  c.fillStyle = over ? ink.flagged : ink.mark;
  c.fillRect(left, top, wide, high);
  if (!over) return;
  c.strokeStyle = ink.warn;
  c.lineWidth = 1;
  if (wide >= 4) c.strokeRect(left + 0.5, top + 0.5, wide - 1, Math.max(1, high - 0.5));
  else {
    c.fillStyle = ink.warn;
    c.fillRect(left, top, wide, high);
  }
}

function dots(c, left, right, floor, scroll, ink) {
  if (right - left < 1) return;
  c.save();
  c.strokeStyle = ink.dots;
  c.lineWidth = 1.5;
  c.setLineDash([2, 4]);
  c.lineDashOffset = (scroll + left) % 6;
  c.beginPath();
  c.moveTo(left, floor - 1);
  c.lineTo(right, floor - 1);
  c.stroke();
  c.restore();
}
