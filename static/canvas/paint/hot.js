/** What follows the pointer: reach ring, rubber band, ring being drawn, node marks, busy ring. */
import { toScreen } from '../view.js';
import { ringPath } from './paths.js';
import { handle, node, reach } from './points.js';
import { band, exemplarBox, proposedClass } from './proposal.js';

export function paintHot(c, size, state, { still, hover, busySince }) {
  const { view, gesture } = state;
  const colour = state.classes.get(proposedClass(state))?.colour ?? '#888888';
  if (gesture?.kind === 'reach') {
    const at = toScreen(view, gesture.at);
    reach(c, at.x, at.y, gesture.r * view.scale);
    handle(c, at.x, at.y, { colour, positive: gesture.label === 1 });
    label(c, size, at.x, at.y + gesture.r * view.scale + 14, gesture.r.toFixed(1));
  } else if (gesture?.kind === 'band') {
    const [x1, y1, x2, y2] = gesture.box;
    const b = toScreen(view, { x: x2, y: y2 });
    if (gesture.exemplar) exemplarBox(c, view, gesture.box, { positive: gesture.positive, colour });
    else band(c, toScreen(view, { x: x1, y: y1 }), b);
    label(c, size, b.x + 6, b.y + 14, `${Math.round(x2 - x1)} × ${Math.round(y2 - y1)}`, 'start');
  } else if (gesture?.kind === 'ring') {
    const ring = gesture.at ? [...gesture.ring, [gesture.at.x, gesture.at.y]] : gesture.ring;
    const path = ringPath(ring, view, ring.length > 2);
    c.lineWidth = 3.4;
    c.strokeStyle = 'rgb(0 0 0 / .7)';
    c.stroke(path);
    c.lineWidth = 1.6;
    c.strokeStyle = '#fff';
    c.setLineDash([6, 4]);
    c.stroke(path);
    c.setLineDash([]);
    gesture.ring.forEach(([x, y], i) => {
      const at = toScreen(view, { x, y });
      node(c, at.x, at.y, i === 0);
    });
  }
  if (hover?.edge) {
    const at = toScreen(view, hover.edge);
    handle(c, at.x, at.y, { colour: '#222222', positive: true });
  } else if (hover?.node) {
    const at = toScreen(view, hover.node);
    node(c, at.x, at.y, true);
  }
  if (state.inspect) reticle(c, view, state.inspect);
  if (busySince && state.pointer && size.time - busySince > 150) busy(c, toScreen(view, state.pointer), size.time - busySince, still);
}

/** The inspected pixel: a square around it, large enough to be seen; four ticks once it is kept. */
function reticle(c, view, { x, y, pinned }) {
  const at = toScreen(view, { x: x + 0.5, y: y + 0.5 });
  const half = Math.max(view.scale / 2, 4);
  const path = new Path2D();
  path.rect(at.x - half, at.y - half, half * 2, half * 2);
  if (pinned) {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      path.moveTo(at.x + dx * half, at.y + dy * half);
      path.lineTo(at.x + dx * (half + 7), at.y + dy * (half + 7));
    }
  }
  c.lineWidth = 3.4;
  c.strokeStyle = 'rgb(0 0 0 / .8)';
  c.stroke(path);
  c.lineWidth = 1.4;
  c.strokeStyle = '#fff';
  c.stroke(path);
}

/** A ring around the tool glyph fills, again and again, while the engine works. */
function busy(c, at, ms, still) {
  const x = at.x + 13;
  const y = at.y + 13;
  const turn = still ? 0.25 : ((ms - 150) % 1200) / 1200;
  c.lineWidth = 4;
  c.strokeStyle = 'rgb(0 0 0 / .6)';
  c.beginPath();
  c.arc(x, y, 9, 0, Math.PI * 2);
  c.stroke();
  c.lineWidth = 2;
  c.strokeStyle = '#fff';
  c.beginPath();
  c.arc(x, y, 9, -Math.PI / 2, -Math.PI / 2 + Math.PI * 2 * turn);
  c.stroke();
}

function label(c, size, x, y, text, align = 'center') {
  c.font = '500 11px ui-monospace, "DejaVu Sans Mono", monospace';
  c.textBaseline = 'middle';
  const w = c.measureText(text).width + 10;
  const left = Math.min(Math.max(align === 'center' ? x - w / 2 : x, 2), size.width - w - 2);
  const top = Math.min(Math.max(y - 9, 2), size.height - 20);
  c.fillStyle = 'rgb(17 17 17 / .86)';
  c.beginPath();
  c.roundRect(left, top, w, 18, 3);
  c.fill();
  c.fillStyle = '#fff';
  c.fillText(text, left + 5, top + 9.5);
}
