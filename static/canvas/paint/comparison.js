/** A frame with two label maps: left of the border its own, right of it what a preview made of it. */
import { sideOf, wipeAt } from '../comparison.js';
import { createPicture } from './picture.js';

export function createComparedPicture(again) {
  // One painter a side: each keeps the fill of its own map.
  const own = createPicture(again);
  const other = createPicture(again);

  function clipped(c, x, width, height, paint) {
    c.save();
    c.beginPath();
    c.rect(x, 0, width, height);
    c.clip();
    paint();
    c.restore();
  }

  return function paint(c, size, state) {
    const side = sideOf(state);
    const at = side === 'both' ? wipeAt(state, state.compared.wipe) : null;
    if (!side || side === 'before') own(c, size, state);
    else if (!at) other(c, size, { ...state, map: state.compared.after });
    else {
      clipped(c, 0, at.x, size.height, () => own(c, size, state));
      clipped(c, at.x, size.width - at.x, size.height, () => other(c, size, { ...state, map: state.compared.after }));
    }
  };
}
