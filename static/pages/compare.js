/**
 * A region beside the mask it was made from: what is the same, missed and spilled, in numbers and as pictures.
 * Masks are Uint8Array (height * width) of 0 and 1, row by row; rectangles are {x, y, w, h} in frame px.
 */

/** COCO run lengths (a list, or its compressed text) → {width, height, bits}. Runs go down the columns. */
export function decodeRle({ size: [height, width], counts }) {
  const runs = typeof counts === 'string' ? runsOf(counts) : counts;
  const bits = new Uint8Array(height * width);
  let at = 0;
  runs.forEach((run, i) => {
    if (run < 0 || at + run > bits.length) throw new RangeError('The mask is damaged.');
    if (i % 2) for (let k = at; k < at + run; k++) bits[(k % height) * width + Math.floor(k / height)] = 1;
    at += run;
  });
  if (at !== bits.length) throw new RangeError('The mask is cut off.');
  return { width, height, bits };
}

/** Five bits a letter from '0' on, the sixth says that more follow; from the third run on, less the one two before. */
function runsOf(text) {
  const runs = [];
  for (let p = 0; p < text.length;) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      if (p >= text.length || shift > 30) throw new RangeError('The mask is damaged.');
      const c = text.charCodeAt(p++) - 48;
      value |= (c & 31) << shift;
      more = Boolean(c & 32);
      shift += 5;
      if (!more && c & 16) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** What is seen of a region in the region map of its frame. */
export function seenMask(map, regionId) {
  const index = map.regions.findIndex((region) => region.id === regionId) + 1;
  const bits = new Uint8Array(map.ids.length);
  if (index) for (let i = 0; i < bits.length; i++) if (map.ids[i] === index) bits[i] = 1;
  return bits;
}

/** Counts of pixels: in the original, in the region, missed, spilled; `taken` = missed ones that `ids` gives to others. */
export function countDifference(original, region, ids = null) {
  const found = { original: 0, region: 0, missed: 0, spilled: 0, taken: 0, iou: 1 };
  let both = 0;
  for (let i = 0; i < original.length; i++) {
    found.original += original[i];
    found.region += region[i];
    if (original[i] && region[i]) both += 1;
    else if (original[i]) {
      found.missed += 1;
      if (ids?.[i]) found.taken += 1;
    }
  }
  found.spilled = found.region - both;
  const either = both + found.missed + found.spilled;
  if (either) found.iou = both / either;
  return found;
}

/** The rectangle around both masks with a margin, at least 48 px wide and inside the frame; the whole frame for none. */
export function cropOf(width, height, ...masks) {
  let [x1, y1, x2, y2] = [width, height, -1, -1];
  for (const bits of masks) {
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (!bits[i]) continue;
        if (x < x1) x1 = x;
        if (x > x2) x2 = x;
        if (y < y1) y1 = y;
        y2 = y;
      }
    }
  }
  if (x2 < 0) return { x: 0, y: 0, w: width, h: height };
  const margin = Math.max(6, Math.round(0.15 * Math.max(x2 - x1, y2 - y1)));
  const span = (low, high, size) => {
    const wide = Math.min(size, Math.max(48, high - low + 1 + 2 * margin));
    const from = Math.min(Math.max(0, Math.round((low + high + 1 - wide) / 2)), size - wide);
    return [from, wide];
  };
  const [x, w] = span(x1, x2, width);
  const [y, h] = span(y1, y2, height);
  return { x, y, w, h };
}

const WHITE = 0xffffffff;
const BLACK = 0xff000000;
/** What a screen pixel of each kind looks like; told apart by pattern, so that grey and colour-blind eyes see it too. */
const STRIPES = (x, y, k) => ((x + y) % (8 * k) < 4 * k ? WHITE : BLACK);
const DOTS = (x, y, k) => {
  const [u, v] = [x % (6 * k) - 3 * k + 0.5, y % (6 * k) - 3 * k + 0.5];
  return u * u + v * v < 4 * k * k ? BLACK : WHITE;
};

/**
 * Paint the crop of a frame with a mask over it, or the difference of two.
 * `kind`: 'mask' fills `a` in `colour` and draws its edge; 'difference' stripes what only `a` has and dots what only `b` has.
 */
export function paintView(canvas, { bitmap, width, crop, a, b = null, colour, points = [] }) {
  const ratio = globalThis.devicePixelRatio || 1;
  const room = canvas.parentElement.clientWidth;
  const scale = Math.min(room / crop.w, 320 / crop.h);
  const [w, h] = [Math.max(1, Math.round(crop.w * scale * ratio)), Math.max(1, Math.round(crop.h * scale * ratio))];
  canvas.width = w;
  canvas.height = h;
  canvas.style.width = `${w / ratio}px`;
  canvas.style.height = `${h / ratio}px`;
  const c = canvas.getContext('2d');
  c.imageSmoothingEnabled = scale * ratio < 3;
  c.drawImage(bitmap, crop.x, crop.y, crop.w, crop.h, 0, 0, w, h);
  const layer = new ImageData(w, h);
  const out = new Uint32Array(layer.data.buffer);
  const [r, g, blue] = [1, 3, 5].map((i) => Number.parseInt(colour.slice(i, i + 2), 16));
  const fill = ((b ? 70 : 117) << 24 | blue << 16 | g << 8 | r) >>> 0;
  const column = Uint32Array.from({ length: w }, (_, x) => crop.x + Math.floor((x * crop.w) / w));
  const inside = (x, y) => x >= 0 && y >= 0 && x < w && y < h && a[(crop.y + Math.floor((y * crop.h) / h)) * width + column[x]];
  const k = Math.max(1, Math.round(ratio));
  for (let y = 0, i = 0; y < h; y++) {
    const row = (crop.y + Math.floor((y * crop.h) / h)) * width;
    for (let x = 0; x < w; x++, i++) {
      const at = row + column[x];
      if (b) {
        if (a[at] && b[at]) out[i] = fill;
        else if (a[at]) out[i] = STRIPES(x, y, k);
        else if (b[at]) out[i] = DOTS(x, y, k);
        continue;
      }
      if (a[at]) out[i] = inside(x - k, y) && inside(x + k, y) && inside(x, y - k) && inside(x, y + k) ? fill : WHITE;
      else if (inside(x - k, y) || inside(x + k, y) || inside(x, y - k) || inside(x, y + k)) out[i] = BLACK;
    }
  }
  const above = new OffscreenCanvas(w, h);
  above.getContext('2d').putImageData(layer, 0, 0);
  c.drawImage(above, 0, 0);
  for (const point of points) paintPoint(c, (point.x - crop.x) * scale * ratio, (point.y - crop.y) * scale * ratio, point.label, k);
}

/** A circle with + or a diamond with −, white over black as on the canvas of the workspace. */
function paintPoint(c, x, y, label, k) {
  const r = 5 * k;
  c.beginPath();
  if (label) c.arc(x, y, r, 0, 2 * Math.PI);
  else for (const [dx, dy] of [[0, -r], [r, 0], [0, r], [-r, 0]]) c.lineTo(x + dx * 1.2, y + dy * 1.2);
  c.closePath();
  c.fillStyle = '#000';
  c.fill();
  c.lineWidth = 1.5 * k;
  c.strokeStyle = '#fff';
  c.stroke();
  c.beginPath();
  c.moveTo(x - r / 2, y);
  c.lineTo(x + r / 2, y);
  if (label) {
    c.moveTo(x, y - r / 2);
    c.lineTo(x, y + r / 2);
  }
  c.stroke();
}
