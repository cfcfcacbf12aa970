/** Where the proposal chip stands. Pure; the DOM part is in chipview.js. */

const overlaps = (r, p, pad) => p.x > r.x - pad && p.x < r.x + r.w + pad && p.y > r.y - pad && p.y < r.y + r.h + pad;

/**
 * Below the proposal; above it where below has no room; else at the nearest free side. It stays inside the
 * canvas and covers no prompt point.
 * @param box {x1, y1, x2, y2} of the proposal on screen
 * @param chip {w, h}
 * @param viewport {width, height}
 * @param points [{x, y}] prompt points on screen
 */
export function placeChip(box, chip, viewport, points = [], gap = 8, pad = 12) {
  const middle = (box.x1 + box.x2) / 2 - chip.w / 2;
  const maxX = Math.max(4, viewport.width - chip.w - 4);
  const maxY = Math.max(4, viewport.height - chip.h - 4);
  const inX = (x) => Math.min(Math.max(x, 4), maxX);
  const inY = (y) => Math.min(Math.max(y, 4), maxY);
  const below = box.y2 + gap;
  const above = box.y1 - gap - chip.h;
  const rows = [];
  if (below <= maxY) rows.push(below);
  if (above >= 4) rows.push(above);
  rows.push(maxY, 4);
  for (let step = 1; step <= 8; step++) rows.push(inY(below + step * (chip.h + 4)), inY(above - step * (chip.h + 4)));
  const columns = [middle, box.x1 - chip.w - gap, box.x2 + gap, 4, maxX];
  for (const y of rows) {
    for (const x of columns) {
      const spot = { x: Math.round(inX(x)), y: Math.round(inY(y)) };
      if (!points.some((p) => overlaps({ ...spot, w: chip.w, h: chip.h }, p, pad))) return spot;
    }
  }
  return { x: Math.round(inX(middle)), y: Math.round(inY(below)) };
}

/** Bounding box of loops in frame px: {x1, y1, x2, y2}, or null when there is none. */
export function boundsOf(loops) {
  let x1 = Infinity;
  let y1 = Infinity;
  let x2 = -Infinity;
  let y2 = -Infinity;
  for (const { xy } of loops) {
    for (let i = 0; i < xy.length; i += 2) {
      if (xy[i] < x1) x1 = xy[i];
      if (xy[i] > x2) x2 = xy[i];
      if (xy[i + 1] < y1) y1 = xy[i + 1];
      if (xy[i + 1] > y2) y2 = xy[i + 1];
    }
  }
  return x1 <= x2 ? { x1, y1, x2, y2 } : null;
}
