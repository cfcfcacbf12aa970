/** Where the proposal chip stands. Pure; the DOM part is in chipview.js. */

const covers = (spot, chip, p, pad) => p.x > spot.x - pad && p.x < spot.x + chip.w + pad && p.y > spot.y - pad && p.y < spot.y + chip.h + pad;
const meets = (spot, chip, box) => spot.x < box.x2 && spot.x + chip.w > box.x1 && spot.y < box.y2 && spot.y + chip.h > box.y1;

/**
 * Below the proposal; above it where below has no room; else the nearest free place. It stays inside the canvas and
 * covers no prompt point; it covers the proposal only where there is no other place.
 * @param box {x1, y1, x2, y2} of the proposal on screen
 * @param chip {w, h}
 * @param viewport {width, height}
 * @param points [{x, y}] prompt points on screen
 */
export function placeChip(box, chip, viewport, points = [], gap = 8, pad = 12) {
  const maxX = Math.max(4, viewport.width - chip.w - 4);
  const maxY = Math.max(4, viewport.height - chip.h - 4);
  const middle = Math.min(Math.max((box.x1 + box.x2) / 2 - chip.w / 2, 4), maxX);
  const below = box.y2 + gap;
  const above = box.y1 - gap - chip.h;
  const ideal = { x: middle, y: below <= maxY ? below : above >= 4 ? above : maxY };
  const xs = [middle, box.x1 - chip.w - gap, box.x2 + gap, 4, maxX];
  const ys = [below, above, 4, maxY];
  for (const p of points) {
    xs.push(p.x + pad, p.x - chip.w - pad);
    ys.push(p.y + pad, p.y - chip.h - pad);
  }
  let best = null;
  let least = Infinity;
  for (const y of ys) {
    for (const x of xs) {
      const spot = { x: Math.round(x), y: Math.round(y) };
      if (spot.x < 4 || spot.x > maxX || spot.y < 4 || spot.y > maxY) continue;
      if (points.some((p) => covers(spot, chip, p, pad - 1))) continue;
      const cost = Math.abs(spot.x - ideal.x) + 1.5 * Math.abs(spot.y - ideal.y) + (meets(spot, chip, box) ? 1e6 : 0);
      if (cost < least) {
        least = cost;
        best = spot;
      }
    }
  }
  return best ?? { x: Math.round(middle), y: Math.round(Math.min(Math.max(ideal.y, 4), maxY)) };
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
