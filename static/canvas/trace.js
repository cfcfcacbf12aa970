/**
 * Outlines of label images: crack following with the inside on the right hand, 4-connected.
 * The loops run through the middles of pixel edges, so that straight and 45° borders collapse to two ends;
 * `exact` ones run along the pixels' corners, for zooms at which the pixels themselves are seen.
 */

/**
 * @param {Uint8Array|Uint16Array} ids row-major (height, width)
 * @param {ArrayLike<number>} group id → value to trace (0 = nothing, always so for id 0); ids of one value are outlined together
 * @returns {{value: number, xy: Float32Array}[]} closed loops as x, y pairs in frame px
 */
export function traceLoops(ids, group, width, height, exact = false) {
  const loops = [];
  const seen = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const id = ids[row + x];
      // Almost every pixel: nothing, or the same as above. No table is read for those.
      if (id === 0 || (y > 0 && ids[row - width + x] === id)) continue;
      const value = group[id];
      if (!value) continue;
      const above = y > 0 ? group[ids[row - width + x]] : 0;
      if (above !== value && !seen[row + x]) loops.push({ value, xy: follow(ids, group, width, height, x, y, value, seen, exact) });
    }
  }
  return loops;
}

const DX = [1, 0, -1, 0];
const DY = [0, 1, 0, -1];
/** Offset of the pixel ahead on the right (inside) and on the left, from the vertex, by heading E S W N. */
const RX = [0, -1, -1, 0];
const RY = [0, 0, -1, -1];
const LX = [0, 0, -1, -1];
const LY = [-1, 0, 0, -1];

function follow(ids, group, width, height, startX, startY, value, seen, exact) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && group[ids[y * width + x]] === value;
  const out = [];
  let x = startX;
  let y = startY;
  let heading = 0;
  let stepX = NaN;
  let stepY = NaN;
  let count = 0;
  do {
    if (heading === 0) seen[y * width + x] = 1;
    const mx = exact ? x : x + DX[heading] / 2;
    const my = exact ? y : y + DY[heading] / 2;
    const n = out.length;
    if (count > 0) {
      const dx = mx - out[n - 2];
      const dy = my - out[n - 1];
      // Same direction as the last step (steps may be 1 or √½ long): the middle between is on the line.
      if (n > 2 && dx * stepY === dy * stepX && dx * stepX + dy * stepY > 0) {
        out[n - 2] = mx;
        out[n - 1] = my;
      } else {
        out.push(mx, my);
        stepX = dx;
        stepY = dy;
      }
    } else {
      out.push(mx, my);
    }
    count++;
    x += DX[heading];
    y += DY[heading];
    if (!inside(x + RX[heading], y + RY[heading])) heading = (heading + 1) & 3;
    else if (inside(x + LX[heading], y + LY[heading])) heading = (heading + 3) & 3;
  } while (x !== startX || y !== startY || heading !== 0);
  return Float32Array.from(out);
}
