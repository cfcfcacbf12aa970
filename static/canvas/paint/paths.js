/** Loops (frame px) → Path2D on screen. Line widths then are screen px at any zoom. */
const cache = new WeakMap();

function framePath(loops) {
  let path = cache.get(loops);
  if (path) return path;
  path = new Path2D();
  for (const { xy } of loops) {
    if (xy.length < 4) continue;
    path.moveTo(xy[0], xy[1]);
    for (let i = 2; i < xy.length; i += 2) path.lineTo(xy[i], xy[i + 1]);
    path.closePath();
  }
  cache.set(loops, path);
  return path;
}

export function screenPath(loops, view) {
  const path = new Path2D();
  path.addPath(framePath(loops), new DOMMatrix([view.scale, 0, 0, view.scale, view.x, view.y]));
  return path;
}

/** A ring of nodes [[x, y]…] on screen; open unless `closed`. */
export function ringPath(ring, view, closed = true) {
  const path = new Path2D();
  ring.forEach(([x, y], i) => {
    const sx = x * view.scale + view.x;
    const sy = y * view.scale + view.y;
    if (i) path.lineTo(sx, sy);
    else path.moveTo(sx, sy);
  });
  if (closed) path.closePath();
  return path;
}

/** Dark or light ink for a glyph on a class colour, by luma. */
export function inkOn(colour) {
  const v = Number.parseInt(colour.slice(1), 16);
  const luma = 0.299 * ((v >> 16) & 255) + 0.587 * ((v >> 8) & 255) + 0.114 * (v & 255);
  return luma < 135 ? '#fff' : '#000';
}
