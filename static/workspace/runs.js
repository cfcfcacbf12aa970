/** Run-length facts about frames and the geometry of the strip. Pure. */

/** Value of the run that holds `index`, or null. Runs: [start, length, value?], sorted by start; value defaults to true. */
export function valueAt(runs, index) {
  let low = 0;
  let high = runs.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [start, length, value = true] = runs[middle];
    if (index < start) high = middle - 1;
    else if (index >= start + length) low = middle + 1;
    else return value;
  }
  return null;
}

/** Place of the first run that ends after `from`: the one that holds it, or the next. */
export function firstAfter(runs, from) {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle][0] + runs[middle][1] <= from) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The runs that touch [from, to), cut to it. */
export function runsWithin(runs, from, to) {
  const out = [];
  for (let i = firstAfter(runs, from); i < runs.length && runs[i][0] < to; i++) {
    const [start, length, value] = runs[i];
    const a = Math.max(start, from);
    out.push([a, Math.min(start + length, to) - a, value]);
  }
  return out;
}

/** Runs of frames that are in any of `many`. */
export function union(many) {
  const all = many.flat().sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [start, length] of all) {
    const last = out[out.length - 1];
    if (last && start <= last[0] + last[1]) last[1] = Math.max(last[1], start + length - last[0]);
    else out.push([start, length]);
  }
  return out;
}

/** The frames of `runs` that are in none of `taken`. */
export function without(runs, taken) {
  const out = [];
  for (const [start, length] of runs) {
    let at = start;
    for (const [other, many] of runsWithin(taken, start, start + length)) {
      if (other > at) out.push([at, other - at]);
      at = other + many;
    }
    if (at < start + length) out.push([at, start + length - at]);
  }
  return out;
}

/** How many frames the runs hold. */
export const lengthOf = (runs) => runs.reduce((sum, [, length]) => sum + length, 0);

const levels = new WeakMap();

/** `list` as `make(list, gap)` has it for the gap in frames that `px` take, rounded down to a power of two; kept. */
function levelled(list, cell, px, make) {
  const gap = 2 ** Math.floor(Math.log2(px / cell));
  if (!(gap >= 1)) return make(list, 0);
  if (!levels.has(list)) levels.set(list, new Map());
  const kept = levels.get(list);
  const key = `${make.name} ${gap}`;
  if (!kept.has(key)) kept.set(key, make(list, gap));
  return kept.get(key);
}

function joinRuns(runs, gap) {
  if (!gap) return runs;
  const out = [];
  for (const [start, length] of runs) {
    const last = out[out.length - 1];
    if (last && start - last[0] - last[1] < gap) last[1] = start + length - last[0];
    else out.push([start, length]);
  }
  return out;
}

function joinMarks(marks, gap) {
  const out = [];
  for (const at of marks) {
    const last = out[out.length - 1];
    if (last && at - last[0] - last[1] + 1 <= gap) last[1] = at - last[0] + 1;
    else out.push([at, 1]);
  }
  return out;
}

/** Runs as they can be told apart at `cell` px a frame: gaps that are no pixel wide are closed. */
export const visibleRuns = (runs, cell) => levelled(runs, cell, 1, joinRuns);

/** Single frames as runs: those nearer to each other than `px` are one. */
export const visibleMarks = (marks, cell, px) => levelled(marks, cell, px, joinMarks);

/** Runs with [index] set to `value`; neighbours of one value are joined. `null` takes it out. */
export function withValue(runs, index, value) {
  const out = [];
  const push = (start, length, v) => {
    if (length <= 0 || v === null) return;
    const last = out[out.length - 1];
    if (last && last[0] + last[1] === start && last[2] === v) last[1] += length;
    else out.push([start, length, v]);
  };
  let placed = false;
  for (const [start, length, v = true] of runs) {
    if (!placed && index < start) {
      push(index, 1, value);
      placed = true;
    }
    if (!placed && index < start + length) {
      push(start, index - start, v);
      push(index, 1, value);
      push(index + 1, start + length - index - 1, v);
      placed = true;
    } else {
      push(start, length, v);
    }
  }
  if (!placed) push(index, 1, value);
  return out;
}

export const MAX_CELL = 120;

/** px per frame from the slider's 0…1: from the whole asset in view to MAX_CELL; every slider step the same ratio. */
export function cellOf(zoom, width, total) {
  const least = Math.min(MAX_CELL, width / Math.max(1, total));
  return least * (MAX_CELL / least) ** Math.min(1, Math.max(0, zoom));
}

export function zoomOf(cell, width, total) {
  const least = Math.min(MAX_CELL, width / Math.max(1, total));
  return least >= MAX_CELL ? 1 : Math.log(cell / least) / Math.log(MAX_CELL / least);
}

/** A step of 1, 2 or 5 × 10ⁿ frames that is at least `least` px wide. */
export function niceStep(cell, least) {
  for (let base = 1; ; base *= 10) for (const k of [1, 2, 5]) if (k * base * cell >= least) return k * base;
}

/** What is in view: frames [from, to), thumbs every `every` frames (so that one is `thumb` px or wider). */
export function windowOf({ scroll, width, cell, total, thumb = 60 }) {
  const from = Math.max(0, Math.floor(scroll / cell));
  const to = Math.min(total, Math.ceil((scroll + width) / cell));
  const every = Math.max(1, Math.ceil(thumb / cell));
  return { from, to, every };
}

/** The scroll offset nearest to `scroll` that there is. */
export const scrollWithin = ({ width, cell, total }, scroll) => Math.min(Math.max(scroll, 0), Math.max(0, total * cell - width));

/** Scroll offset so that `index` is in view, with room around it; unchanged when it is. `page`: turn a page instead. */
export function scrollTo(view, index, { page = false } = {}) {
  const { scroll, width, cell } = view;
  const room = page ? 0 : Math.min(width / 4, 3 * cell);
  const left = index * cell;
  let next = scroll;
  if (left - room < scroll) next = left - (page ? width * 0.9 : room);
  else if (left + cell + room > scroll + width) next = page ? left - width * 0.1 : left + cell + room - width;
  return scrollWithin(view, next);
}

/** Seconds → m:ss.mmm. */
export function timecode(seconds) {
  if (!Number.isFinite(seconds)) return '';
  const ms = Math.round(seconds * 1000);
  return `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}.${String(ms % 1000).padStart(3, '0')}`;
}
