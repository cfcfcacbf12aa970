/** Points, handles, reach rings, outline nodes: each with a dark and a light hairline, so that it reads anywhere. */
import { inkOn } from './paths.js';

const TAU = Math.PI * 2;

/** 6 px dot of a region that is not selected. */
export function dot(c, x, y, colour) {
  c.beginPath();
  c.arc(x, y, 5, 0, TAU);
  c.fillStyle = 'rgb(255 255 255 / .75)';
  c.fill();
  c.beginPath();
  c.arc(x, y, 4, 0, TAU);
  c.fillStyle = '#000';
  c.fill();
  c.beginPath();
  c.arc(x, y, 3, 0, TAU);
  c.fillStyle = colour;
  c.fill();
}

function diamond(c, x, y, r) {
  c.moveTo(x, y - r);
  c.lineTo(x + r, y);
  c.lineTo(x, y + r);
  c.lineTo(x - r, y);
  c.closePath();
}

/** 18 px handle: a circle with + or a diamond with −. `held` grows it, `chosen` gives it a heavier rim. */
export function handle(c, x, y, { colour, positive, held = false, chosen = false }) {
  const r = held ? 9 : 7;
  const ink = positive ? inkOn(colour) : '#fff';
  const shape = (radius) => {
    c.beginPath();
    if (positive) c.arc(x, y, radius, 0, TAU);
    else diamond(c, x, y, radius * 1.18);
  };
  shape(r + 2);
  c.fillStyle = '#000';
  c.fill();
  shape(r + (chosen ? 1.4 : 0.8));
  c.fillStyle = '#fff';
  c.fill();
  shape(r - (chosen ? 1.6 : 0.8));
  c.fillStyle = positive ? colour : '#111';
  c.fill();
  c.beginPath();
  const arm = positive ? 3.6 : 3;
  c.moveTo(x - arm, y);
  c.lineTo(x + arm, y);
  if (positive) {
    c.moveTo(x, y - arm);
    c.lineTo(x, y + arm);
  }
  c.lineWidth = 1.7;
  c.lineCap = 'round';
  c.strokeStyle = ink;
  c.stroke();
  c.lineCap = 'butt';
}

/** Dashed reach ring, white over black. */
export function reach(c, x, y, r) {
  if (r < 2) return;
  c.beginPath();
  c.arc(x, y, r, 0, TAU);
  c.setLineDash([]);
  c.lineWidth = 2.6;
  c.strokeStyle = 'rgb(0 0 0 / .5)';
  c.stroke();
  c.setLineDash([2, 3]);
  c.lineWidth = 1.2;
  c.strokeStyle = '#fff';
  c.stroke();
  c.setLineDash([]);
}

/** Square node of an outline. */
export function node(c, x, y, chosen = false) {
  const half = chosen ? 5 : 3.5;
  c.fillStyle = '#000';
  c.fillRect(x - half - 1, y - half - 1, 2 * half + 2, 2 * half + 2);
  c.fillStyle = '#fff';
  c.fillRect(x - half, y - half, 2 * half, 2 * half);
}
