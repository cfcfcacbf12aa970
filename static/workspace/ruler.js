/** The ruler: which frames get a mark and a number, and the time they stand for, so that neither ever overlaps. */
import { niceStep } from './runs.js';

const LABEL_GAP = 14;
const TICK_PX = 9;
const THIN = '\u202f';

/** 100000 → '100 000' with thin spaces. */
export const spaced = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, THIN);

/** Seconds as a clock with as many decimals as marks `step` seconds apart need: 1:02:05, 0:02.5 */
export function clockOf(seconds, step = 1) {
  const decimals = step >= 0.9995 ? 0 : step >= 0.0995 ? 1 : step >= 0.00995 ? 2 : 3;
  const unit = 10 ** decimals;
  const all = Math.round(seconds * unit);
  const whole = Math.floor(all / unit);
  const two = (n) => String(n).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  const clock = minutes >= 60 ? `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return decimals ? `${clock}.${String(all % unit).padStart(decimals, '0')}` : clock;
}

/**
 * Marks of the frames [from, to). `measure(text)` → px. Frames are numbered from 1; a step's multiples get the numbers.
 * @returns {step, tick, labels: [{index, frame, time}], ticks: [index]}
 */
export function rulerMarks({ from, to, cell, total, fps }, measure) {
  const widest = measure(spaced(total)) + LABEL_GAP;
  let step = niceStep(cell, Math.max(56, widest));
  if (fps) {
    // The time stands beside the number: there must be room for both. Shorter clocks come with longer steps.
    const both = (s) => widest + 8 + measure(clockOf(total / fps, s / fps));
    while (step * cell < both(step)) step = niceStep(cell, step * cell * 1.01);
  }
  const tick = niceStep(cell, Math.max(TICK_PX, (step * cell) / 10 - 1e-6));
  const labels = [];
  const ticks = [];
  // A label reaches to the right of its mark, so the mark before the window counts too.
  for (let n = Math.max(1, Math.floor((from + 1) / step)) * step; n <= Math.min(to, total); n += step) {
    labels.push({ index: n - 1, frame: spaced(n), time: fps ? clockOf((n - 1) / fps, step / fps) : '' });
  }
  for (let n = Math.max(1, Math.ceil((from + 1) / tick)) * tick; n <= Math.min(to, total); n += tick) ticks.push(n - 1);
  return { step, tick, labels, ticks };
}

/** @param c 2D context in CSS px @param size {width, height} @param ink {text, quiet, mark, strong, font} */
export function paintRuler(c, { width, height }, view, fps, ink) {
  c.font = ink.font;
  c.textBaseline = 'alphabetic';
  const from = Math.max(0, Math.floor(view.scroll / view.cell));
  const to = Math.min(view.total, Math.ceil((view.scroll + width) / view.cell));
  const { labels, ticks, tick, step } = rulerMarks({ from, to, cell: view.cell, total: view.total, fps }, (text) => c.measureText(text).width);
  const x = (index) => Math.round(index * view.cell - view.scroll);
  c.fillStyle = ink.mark;
  if (tick < step) for (const index of ticks) c.fillRect(x(index), height - 4, 1, 4);
  for (const { index, frame, time } of labels) {
    c.fillStyle = ink.strong;
    c.fillRect(x(index), height - 7, 1, 7);
    c.fillStyle = ink.text;
    c.fillText(frame, x(index) + 4, height - 5);
    if (!time) continue;
    c.fillStyle = ink.quiet;
    c.fillText(time, x(index) + 4 + c.measureText(frame).width + 6, height - 5);
  }
}
