/** A frame and its matte: left of the border the frame as it is, right of it the target over what was chosen to stand behind it. */
import { sideOfCutout } from '../matte.js';
import { wipeAt } from '../comparison.js';
import { PIXELATED_FROM } from '../view.js';

const SQUARE = 8;
const GREYS = ['#cfcfcf', '#8f8f8f'];
const VEIL = 'rgb(16 16 16 / .78)';
const LOOK = 64;

/** Where between left (0) and right (1) the middle of an alpha picture lies; null where there is nothing. */
export function middleOf(alpha) {
  const canvas = new OffscreenCanvas(LOOK, LOOK);
  const c = canvas.getContext('2d', { willReadFrequently: true });
  c.drawImage(alpha, 0, 0, LOOK, LOOK);
  const { data } = c.getImageData(0, 0, LOOK, LOOK);
  let sum = 0;
  let weight = 0;
  for (let i = 0; i < LOOK * LOOK; i++) {
    sum += data[4 * i] * ((i % LOOK) + 0.5);
    weight += data[4 * i];
  }
  return weight ? sum / weight / LOOK : null;
}

/** A checkerboard that stands still under the frame when it is panned. */
function checker(c, x, y, w, h) {
  const tile = new OffscreenCanvas(2 * SQUARE, 2 * SQUARE);
  const of = tile.getContext('2d');
  of.fillStyle = GREYS[0];
  of.fillRect(0, 0, 2 * SQUARE, 2 * SQUARE);
  of.fillStyle = GREYS[1];
  of.fillRect(SQUARE, 0, SQUARE, SQUARE);
  of.fillRect(0, SQUARE, SQUARE, SQUARE);
  const pattern = c.createPattern(tile, 'repeat');
  pattern.setTransform(new DOMMatrix([1, 0, 0, 1, x, y]));
  c.fillStyle = pattern;
  c.fillRect(x, y, w, h);
}

/** `picture` paints the frame where there is no matte to see. */
export function createMattedPicture(picture) {
  function matte(c, size, state, bare) {
    const { view, cutout } = state;
    const [w, h] = [state.width * view.scale, state.height * view.scale];
    if (cutout.over === 'original') {
      picture(c, size, bare);
      c.fillStyle = VEIL;
      c.fillRect(view.x, view.y, w, h);
    } else if (cutout.over === 'checker') checker(c, view.x, view.y, w, h);
    else if (cutout.over === 'colour') {
      c.fillStyle = cutout.colour;
      c.fillRect(view.x, view.y, w, h);
    }
    c.imageSmoothingEnabled = view.scale < PIXELATED_FROM;
    c.imageSmoothingQuality = view.scale < 1 ? 'high' : 'low';
    c.drawImage(cutout.over === 'alpha' ? cutout.alpha : cutout.rgba, view.x, view.y, w, h);
  }

  function clipped(c, x, width, height, paint) {
    c.save();
    c.beginPath();
    c.rect(x, 0, width, height);
    c.clip();
    paint();
    c.restore();
  }

  return function paint(c, size, state) {
    const side = sideOfCutout(state);
    if (!side) {
      picture(c, size, state);
      return;
    }
    // Labels would hide the edge that is judged.
    const bare = { ...state, layers: { ...state.layers, image: true, labels: false } };
    const at = side === 'both' ? wipeAt(state, state.cutout.wipe) : null;
    if (side === 'before') picture(c, size, bare);
    else if (!at) matte(c, size, state, bare);
    else {
      clipped(c, 0, at.x, size.height, () => picture(c, size, bare));
      clipped(c, at.x, size.width - at.x, size.height, () => matte(c, size, state, bare));
    }
  };
}
