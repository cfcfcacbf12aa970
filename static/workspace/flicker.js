/** The flicker of frames as bars: how many frames a bar stands for, which answers that takes, how high it is. Pure. */
import { runsWithin, union, valueAt } from './runs.js';

/** No bar is narrower. */
export const BAR_PX = 3;
/** Bars in one answer. */
export const TILE = 512;
/** Where the limit lies in the row, as a share of its height. */
export const LIMIT_AT = 0.62;

export const SCOPES = ['all', 'class', 'selected'];

/** Frames a bar stands for at `cell` px a frame: a power of two, so that who scrolls asks for the same answers again. */
export const stepOf = (cell) => (cell >= BAR_PX ? 1 : 2 ** Math.ceil(Math.log2(BAR_PX / cell)));

/** Frames a bar stands for where one answer covers the whole asset. */
export const wholeStep = (total) => 2 ** Math.ceil(Math.log2(Math.max(1, total / TILE)));

/** Numbers of the answers at `step` frames a bar that cover the view. */
export function tilesOf({ scroll, width, cell, total }, step) {
  const span = TILE * step * cell;
  const last = Math.floor(Math.max(0, Math.min(scroll + width, total * cell) - 1e-6) / span);
  const out = [];
  for (let tile = Math.floor(scroll / span); tile <= last; tile++) out.push(tile);
  return out;
}

/**
 * What the row is about: a class, a track, or with class 0 all that is labelled.
 * @param scope all | class (the current one) | selected (its track, else its class; all where nothing is selected)
 */
export function subjectOf(scope, { classId, selected, regions }) {
  const region = scope === 'selected' && selected ? regions.find((one) => one.id === selected) : null;
  if (region) return { classId: region.class_id, trackId: region.track_id ?? '' };
  return { classId: scope === 'class' ? classId ?? 0 : 0, trackId: '' };
}

export const keyOf = ({ classId, trackId }, step, tile) => `${classId} ${trackId} ${step} ${tile}`;

/**
 * The worst value of the frames [from, to) in an answer, and where it is: {value, at, worst} or null where nothing was
 * measured. `series`: warped or raw.
 */
export function worstIn(curve, from, to, series) {
  const values = curve[series];
  const first = Math.max(0, Math.floor((from - curve.start) / curve.step));
  const last = Math.min(values.length, Math.ceil((to - curve.start) / curve.step));
  let found = null;
  for (let i = first; i < last; i++) {
    const value = values[i];
    if (value === null || (found && value <= found.value)) continue;
    const at = series === 'warped' ? curve.at?.[i] : null;
    found = { value, at: at ?? curve.start + i * curve.step, worst: curve.worst?.[i] ?? null };
  }
  return found;
}

/** Whether any of the frames [from, to) was measured, by the answer about all that is labelled. */
export const isKnown = (curve, from, to) => {
  const first = Math.max(0, Math.floor((from - curve.start) / curve.step));
  return curve.area.slice(first, Math.max(first + 1, Math.ceil((to - curve.start) / curve.step))).some((area) => area !== null);
};

/** Share of the row's height: the limit always lies at LIMIT_AT, and above it small differences still show. */
export function heightOf(value, limit) {
  if (value <= limit) return (value / limit) * LIMIT_AT;
  return LIMIT_AT + (1 - LIMIT_AT) * Math.sqrt((value - limit) / (1 - limit));
}

/**
 * The bars in view: [{start, frames, value or null, known: whether it was measured, cut, at, worst, over, stale}].
 * @param curveOf (first frame) → the answer that covers it, or null
 * @param whole the answer about all that is labelled, of the whole asset, or null
 * @param touched runs of frames that changed since the answers came
 */
export function barsIn(curveOf, { scroll, width, cell, total }, { step, series, touched, whole }) {
  const out = [];
  const first = Math.max(0, Math.floor(scroll / cell / step) * step);
  const stop = Math.min(total, Math.ceil((scroll + width) / cell));
  for (let start = first; start < stop; start += step) {
    const to = Math.min(start + step, total);
    const curve = curveOf(start);
    const found = curve ? worstIn(curve, start, to, series) : null;
    out.push({
      start, frames: to - start, value: found?.value ?? null, known: Boolean(found) || Boolean(whole && isKnown(whole, start, to)),
      cut: Boolean(curve?.cuts?.some((cut) => cut >= start && cut < to)), at: found?.at ?? start, worst: found?.worst ?? null,
      over: Boolean(found) && series === 'warped' && found.value > curve.limit,
      stale: Boolean(found) && (runsWithin(curve.stale, start, to).length > 0 || runsWithin(touched, start, to).length > 0),
    });
  }
  return out;
}

/** Frames that are to be measured anew, as runs. `whole`: the answer for the whole asset. */
export const staleOf = (whole, touched) => union([whole.stale, touched]);

/** Whether anything of the asset was measured. */
export const isMeasured = (whole) => whole.area.some((area) => area !== null);

/** What a change of a frame makes old: itself, and the next one, which is compared with it. */
export const touch = (runs, index, total) => (valueAt(runs, index) && (index + 1 >= total || valueAt(runs, index + 1))
  ? runs : union([runs, [[index, Math.min(2, total - index)]]]));

/** Frames above the limit that the answers name, ascending, each once. */
export function overIn(curves) {
  const found = new Set();
  for (const curve of curves) {
    curve.warped.forEach((value, i) => {
      if (value !== null && value > curve.limit) found.add(curve.at?.[i] ?? curve.start + i * curve.step);
    });
  }
  return [...found].sort((a, b) => a - b);
}
