/** Amber flags with the value that makes a tracked region uncertain. A grey picture tells them by the sign. */
import { toScreen } from '../view.js';

const LEAST_AGREEMENT = 0.8;
const LEAST_SCORE = 0.5;

/** Why a person should look at a region that nobody confirmed, as the number that says so; null where nothing does. Pure. */
export function doubtOf({ anchor, agreement, score, certificate }) {
  if (anchor) return null;
  if (agreement != null && agreement < LEAST_AGREEMENT) return agreement;
  if (score != null && score < LEAST_SCORE) return score;
  return certificate && certificate.iou < certificate.target ? certificate.iou : null;
}

/** Where the flag stands: over the top of the region. */
function topOf({ points, outline }) {
  const nodes = outline?.flat() ?? [];
  if (nodes.length) return nodes.reduce((top, [x, y]) => (y < top.y ? { x, y } : top), { x: 0, y: Infinity });
  const first = points.find((point) => point.label === 1);
  return first && { x: first.x, y: first.y - first.r };
}

export function paintFlags(c, size, state, regions) {
  if (state.playing) return;
  c.font = '500 11px system-ui, sans-serif';
  c.textBaseline = 'middle';
  for (const region of regions) {
    const doubt = doubtOf(region);
    const top = doubt !== null && topOf(region.geometry);
    if (!top) continue;
    const text = doubt.toFixed(2);
    const w = c.measureText(text).width + 25;
    const at = toScreen(state.view, top);
    if (at.x < -w || at.y < -24 || at.x > size.width + w || at.y > size.height + 24) continue;
    const x = Math.min(Math.max(at.x - w / 2, 2), size.width - w - 2);
    const y = Math.max(at.y - 24, 2);
    c.fillStyle = 'rgb(17 17 17 / .86)';
    c.beginPath();
    c.roundRect(x, y, w, 18, 3);
    c.fill();
    c.strokeStyle = c.fillStyle = '#e9b44c';
    c.lineWidth = 1.4;
    c.lineJoin = 'round';
    c.beginPath();
    c.moveTo(x + 10, y + 4);
    c.lineTo(x + 15.5, y + 13.5);
    c.lineTo(x + 4.5, y + 13.5);
    c.closePath();
    c.moveTo(x + 10, y + 7.5);
    c.lineTo(x + 10, y + 10.5);
    c.stroke();
    c.fillText(text, x + 20, y + 9.5);
  }
}
