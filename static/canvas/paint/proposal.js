/** What is not yet data: hatch in the class colour, white hairline, dashes that march; and the prompt's points. */
import { toScreen } from '../view.js';
import { areInstances } from '../instances.js';
import { paintInstances } from './instances.js';
import { screenPath } from './paths.js';
import { handle, reach } from './points.js';

const PERIOD_MS = 900;
const DASH = [6, 4];

export function createProposalPainter() {
  const tiles = new Map();

  /** A seamless tile of 45° stripes; drawn at device resolution so that the hatch stays crisp. */
  function hatch(c, colour, ratio) {
    const key = `${colour} ${ratio}`;
    if (!tiles.has(key)) {
      const side = Math.round(10 * ratio);
      const tile = document.createElement('canvas');
      tile.width = side;
      tile.height = side;
      const t = tile.getContext('2d');
      const stripes = (width, style, shift) => {
        t.lineWidth = width * ratio;
        t.strokeStyle = style;
        t.beginPath();
        for (let k = -2; k <= 2; k++) {
          const x = k * side + shift * ratio;
          t.moveTo(x - side, side * 2);
          t.lineTo(x + side * 2, -side);
        }
        t.stroke();
      };
      t.globalAlpha = 0.22;
      t.fillStyle = colour;
      t.fillRect(0, 0, side, side);
      t.globalAlpha = 0.95;
      stripes(3.4, colour, 0);
      t.globalAlpha = 0.55;
      stripes(1, '#fff', 3.2);
      tiles.set(key, tile);
    }
    const pattern = c.createPattern(tiles.get(key), 'repeat');
    pattern.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, 0, 0]));
    return pattern;
  }

  return function paint(c, size, state, still) {
    const { view, proposal, prompt, preview } = state;
    const candidate = proposal?.candidates[proposal.at];
    const shift = still ? 0 : -((size.time % PERIOD_MS) / PERIOD_MS) * (DASH[0] + DASH[1]);
    const colour = state.classes.get(proposedClass(state))?.colour ?? '#888888';
    const stripes = (path, tint) => {
      c.save();
      c.clip(path, 'evenodd');
      c.fillStyle = hatch(c, tint, size.ratio);
      c.fillRect(0, 0, size.width, size.height);
      c.restore();
    };
    for (const gain of state.whatIf?.gains ?? []) {
      const path = screenPath(gain.loops, view);
      stripes(path, state.classes.get(gain.class_id)?.colour ?? '#888888');
      dashes(c, path, 0);
    }
    if (areInstances(proposal)) {
      paintInstances(c, size, state, { colour, stripes, dashes: (path) => dashes(c, path, shift) });
    } else if (candidate) {
      const path = screenPath(candidate.loops, view);
      stripes(path, colour);
      dashes(c, path, shift);
    }
    if (preview?.candidate) dashes(c, screenPath(preview.candidate.loops, view), shift);
    if (prompt) paintPrompt(c, state, prompt, colour);
  };
}

/** The class that Enter will write to: that of the refined region, else the current one. */
export function proposedClass(state) {
  const refined = state.prompt?.refine && state.regions.find((region) => region.id === state.prompt.refine);
  return refined ? refined.class_id : state.classId;
}

function dashes(c, path, shift) {
  c.lineJoin = 'round';
  c.setLineDash([]);
  c.lineWidth = 3.4;
  c.strokeStyle = '#000';
  c.stroke(path);
  c.lineWidth = 1.6;
  c.strokeStyle = '#fff';
  c.setLineDash(DASH);
  c.lineDashOffset = shift;
  c.stroke(path);
  c.setLineDash([]);
}

function paintPrompt(c, state, prompt, colour) {
  const { view } = state;
  if (prompt.box) {
    const [x1, y1, x2, y2] = prompt.box;
    const a = toScreen(view, { x: x1, y: y1 });
    const b = toScreen(view, { x: x2, y: y2 });
    band(c, a, b);
  }
  for (const { box, positive } of prompt.exemplars ?? []) exemplarBox(c, view, box, { positive, colour });
  for (const point of prompt.points) {
    const at = toScreen(view, point);
    if (point.r > 0 && point.label === 1) reach(c, at.x, at.y, point.r * view.scale);
  }
  prompt.points.forEach((point, index) => {
    const at = toScreen(view, point);
    const held = state.draft?.source === 'prompt' && state.draft.index === index;
    handle(c, at.x, at.y, { colour, positive: point.label === 1, held });
  });
}

/** A box with the sign of a point in its corner; that of a negative example is broken. */
export function exemplarBox(c, view, [x1, y1, x2, y2], { positive, colour }) {
  const a = toScreen(view, { x: x1, y: y1 });
  band(c, a, toScreen(view, { x: x2, y: y2 }), positive ? [] : [3, 4]);
  handle(c, a.x, a.y, { colour, positive });
}

export function band(c, a, b, pattern = []) {
  c.setLineDash([]);
  c.lineWidth = 3;
  c.strokeStyle = 'rgb(0 0 0 / .7)';
  c.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  c.setLineDash(pattern);
  c.lineWidth = 1.4;
  c.strokeStyle = '#fff';
  c.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
  c.setLineDash([]);
}
