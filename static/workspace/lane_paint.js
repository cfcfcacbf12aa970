/** Draws the rows of the lanes into one canvas: what design.md says of each state on the timeline. */
import { ROW, anchorRuns } from './lanes.js';
import { runsWithin, visibleRuns } from './runs.js';

const BAR = 10;
const SUM = 4;
const LOST = 8;
const DIAMOND = 5.5;

/**
 * @param c 2D context in CSS px, cleared
 * @param rows all rows @param span {first, last}: those to draw, from y = 0 on
 * @param view {scroll, cell, width, total}
 * @param state {index, tinted: number of the selected region's row or −1, proposal: number of the row a proposal is for or −1}
 */
export function paintRows(c, rows, { first, last }, view, state, ink) {
  for (let i = first; i < last; i++) {
    c.save();
    c.translate(0, (i - first) * ROW);
    paintRow(c, rows[i], view, ink, { tinted: i === state.tinted, index: state.index, proposal: i === state.proposal });
    c.restore();
  }
}

function paintRow(c, row, view, ink, { tinted, index, proposal }) {
  const { cell, scroll, width, total } = view;
  const from = Math.max(0, Math.floor(scroll / cell) - 1);
  const to = Math.min(total, Math.ceil((scroll + width) / cell) + 1);
  const x = (at) => at * cell - scroll;
  const end = Math.min(width, x(total));
  if (tinted) {
    c.fillStyle = ink.tint;
    c.fillRect(0, 0, width, ROW - 1);
  }
  c.fillStyle = ink.line;
  c.fillRect(0, ROW - 1, width, 1);
  dotted(c, Math.max(0, x(0)), end, scroll, ink);

  const height = row.sum ? SUM : BAR;
  const gap = cell >= 12 ? 1 : 0;
  const each = (runs, draw) => {
    for (const [start, length] of runsWithin(visibleRuns(runs, cell), from, to)) draw(x(start), Math.max(2, length * cell - gap), start);
  };
  const bar = (left, wide, tall) => {
    c.beginPath();
    c.roundRect(left, (ROW - tall) / 2, wide, tall, Math.min(2, wide / 2));
  };
  c.fillStyle = ink.bar(row.colour, row.sum);
  each(row.regions, (left, wide) => {
    bar(left, wide, height);
    c.fill();
  });
  each(row.flagged, (left, wide) => {
    c.fillStyle = ink.flagged;
    bar(left, wide, BAR);
    c.fill();
    c.strokeStyle = ink.warn;
    c.lineWidth = 1;
    bar(left + 0.5, Math.max(1, wide - 1), BAR - 1);
    c.stroke();
  });
  each(row.lost, (left, wide, start) => lost(c, left, wide, { cross: start > from || !from, cell, ground: tinted ? ink.tint : ink.ground }, ink));
  if (proposal) proposed(c, x(index), Math.max(12, cell - gap), ink);
  for (const [start, length] of runsWithin(anchorRuns(row, cell), from, to)) {
    const left = x(start) + cell / 2;
    const right = x(start + length - 1) + cell / 2;
    if (length > 1) {
      c.fillStyle = '#000';
      c.fillRect(left, ROW / 2 - 2, right - left, 4);
      c.fillStyle = '#fff';
      c.fillRect(left, ROW / 2 - 1, right - left, 2);
    }
    const here = tinted && index >= start && index < start + length;
    diamond(c, left, here && index === start ? ink.accent : '#fff');
    if (length > 1 && right - left > 2 * DIAMOND) diamond(c, right, here && index === start + length - 1 ? ink.accent : '#fff');
    if (length > 1 && here && index !== start && index !== start + length - 1) diamond(c, x(index) + cell / 2, ink.accent);
  }
}

/** Not tracked: a dotted line that keeps still under the frames. */
function dotted(c, left, right, scroll, ink) {
  if (right <= left) return;
  c.save();
  c.strokeStyle = ink.dots;
  c.lineWidth = 1.5;
  c.setLineDash([2, 4]);
  c.lineDashOffset = (scroll + left) % 6;
  c.beginPath();
  c.moveTo(left, ROW / 2);
  c.lineTo(right, ROW / 2);
  c.stroke();
  c.restore();
}

/** Lost: a red, empty frame; a cross at its first frame. */
function lost(c, left, wide, { cross, cell, ground }, ink) {
  const top = (ROW - LOST) / 2;
  c.fillStyle = ground;
  c.fillRect(left, top, wide, LOST);
  c.fillStyle = ink.errTint;
  for (let at = Math.ceil(left / 8) * 8; at < left + wide - 3; at += 8) c.fillRect(at, top + 1, 4, LOST - 2);
  c.strokeStyle = ink.err;
  c.lineWidth = 1;
  c.beginPath();
  c.roundRect(left + 0.5, top + 0.5, Math.max(1, wide - 1), LOST - 1, 2);
  c.stroke();
  if (wide < 7 || !cross) return;
  const [mx, my] = [left + Math.max(4, Math.min(cell / 2, 7)), ROW / 2];
  c.lineWidth = 1.5;
  c.beginPath();
  c.moveTo(mx - 2.5, my - 2.5);
  c.lineTo(mx + 2.5, my + 2.5);
  c.moveTo(mx + 2.5, my - 2.5);
  c.lineTo(mx - 2.5, my + 2.5);
  c.stroke();
}

/** Not yet data: dashed, with a hollow diamond. */
function proposed(c, left, wide, ink) {
  c.save();
  c.fillStyle = ink.floor;
  c.strokeStyle = '#fff';
  c.lineWidth = 1.5;
  c.setLineDash([3, 2]);
  c.beginPath();
  c.roundRect(left + 0.75, (ROW - BAR) / 2 + 0.75, wide - 1.5, BAR - 1.5, 2);
  c.fill();
  c.stroke();
  c.restore();
  diamond(c, left + wide / 2, '#111', '#fff');
}

function diamond(c, x, fill, edge = '#000') {
  const y = ROW / 2 - 0.5;
  c.beginPath();
  c.moveTo(x, y - DIAMOND);
  c.lineTo(x + DIAMOND, y);
  c.lineTo(x, y + DIAMOND);
  c.lineTo(x - DIAMOND, y);
  c.closePath();
  c.fillStyle = fill;
  c.fill();
  c.strokeStyle = edge;
  c.lineWidth = 1.1;
  c.stroke();
}
