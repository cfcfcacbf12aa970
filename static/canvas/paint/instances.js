/** All instances at once: hatched where kept, an empty line where left out; each with its own tint and its score. */
import { boundsOf } from '../chip.js';
import { isKept, tint } from '../instances.js';
import { toScreen } from '../view.js';
import { screenPath } from './paths.js';

const LEAST_PX = 22;

export function paintInstances(c, size, state, { colour, stripes, dashes }) {
  const { view, proposal, scoreLimit } = state;
  const kept = proposal.candidates.map((candidate) => isKept(proposal, candidate, scoreLimit));
  // Those left out first: a kept one is never hidden under one that is not.
  const order = proposal.candidates.map((_, index) => index).sort((a, b) => kept[a] - kept[b] || (a === proposal.at) - (b === proposal.at));
  for (const index of order) {
    const path = screenPath(proposal.candidates[index].loops, view);
    if (kept[index]) {
      stripes(path, tint(colour, index));
      dashes(path);
    } else {
      outline(c, path);
    }
    if (index === proposal.at) highlight(c, path);
  }
  for (const index of order) label(c, size, state, index, kept[index]);
}

function outline(c, path) {
  c.setLineDash([1, 4]);
  c.lineCap = 'round';
  c.lineWidth = 3;
  c.strokeStyle = '#000';
  c.stroke(path);
  c.lineWidth = 1.6;
  c.strokeStyle = '#fff';
  c.stroke(path);
  c.setLineDash([]);
  c.lineCap = 'butt';
}

function highlight(c, path) {
  c.lineWidth = 5;
  c.strokeStyle = '#000';
  c.stroke(path);
  c.lineWidth = 2.6;
  c.strokeStyle = '#fff';
  c.stroke(path);
}

/** '✓ 0.90' or '✕ 0.42' in the middle; small ones stay bare unless they are the highlighted one. */
function label(c, size, state, index, kept) {
  const { view, proposal } = state;
  const candidate = proposal.candidates[index];
  const bounds = boundsOf(candidate.loops);
  if (!bounds) return;
  const a = toScreen(view, { x: bounds.x1, y: bounds.y1 });
  const b = toScreen(view, { x: bounds.x2, y: bounds.y2 });
  if (index !== proposal.at && (b.x - a.x < LEAST_PX || b.y - a.y < LEAST_PX)) return;
  const text = `${kept ? '✓' : '✕'} ${candidate.score.toFixed(2)}`;
  c.font = `${index === proposal.at ? 600 : 500} 11px system-ui, sans-serif`;
  c.textBaseline = 'middle';
  const w = c.measureText(text).width + 10;
  const x = Math.min(Math.max((a.x + b.x) / 2 - w / 2, 2), size.width - w - 2);
  const y = Math.min(Math.max((a.y + b.y) / 2 - 9, 2), size.height - 20);
  c.fillStyle = 'rgb(17 17 17 / .86)';
  c.beginPath();
  c.roundRect(x, y, w, 18, 3);
  c.fill();
  if (index === proposal.at) {
    c.lineWidth = 1;
    c.strokeStyle = '#fff';
    c.stroke();
  }
  c.fillStyle = kept ? '#fff' : '#b8b8b8';
  c.fillText(text, x + 5, y + 9.5);
}
