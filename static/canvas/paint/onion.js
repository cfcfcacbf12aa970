/** Onion skin: where the regions of the neighbouring frames lie, as thin dashed lines. Before: long dashes; behind: dots. */
import { classLoops, regionLoops } from '../labelmap.js';
import { screenPath } from './paths.js';

const DASHES = { previous: [10, 5], next: [1.5, 4] };
const paths = new WeakMap();

/** The lines of one neighbour: those of a region where one is named, else of every class that is shown. Kept per map. */
function loopsOf({ map, region }, hidden) {
  if (region) return regionLoops(map, region);
  const sign = Object.keys(hidden).join(' ');
  const known = paths.get(map);
  if (known?.sign === sign) return known.loops;
  const loops = classLoops(map).filter(({ value }) => value && !hidden[value]);
  paths.set(map, { sign, loops });
  return loops;
}

/** `ghosts`: {previous, next}, each {map, region} or null. Nothing is drawn while the frames play. */
export function paintOnion(c, state) {
  if (state.playing || !state.ghosts || !state.width) return;
  c.save();
  c.lineJoin = 'round';
  c.lineCap = 'round';
  for (const side of ['previous', 'next']) {
    const ghost = state.ghosts[side];
    // A neighbour of another size lies elsewhere.
    if (!ghost || ghost.map.width !== state.width || ghost.map.height !== state.height) continue;
    const path = screenPath(loopsOf(ghost, state.hidden), state.view);
    c.setLineDash(DASHES[side]);
    c.strokeStyle = 'rgb(0 0 0 / .7)';
    c.lineWidth = 3;
    c.stroke(path);
    c.strokeStyle = 'rgb(255 255 255 / .92)';
    c.lineWidth = 1.4;
    c.stroke(path);
  }
  c.restore();
}
