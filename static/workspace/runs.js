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

/** The runs that touch [from, to), cut to it. */
export function runsWithin(runs, from, to) {
  const out = [];
  for (const [start, length, value] of runs) {
    const a = Math.max(start, from);
    const b = Math.min(start + length, to);
    if (a < b) out.push([a, b - a, value]);
    if (start >= to) break;
  }
  return out;
}

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

/** First frame after `index` (then from the start) whose state is todo, or -1. */
export function nextTodo(states, index, total) {
  const gaps = [];
  let at = 0;
  for (const [start, length, state] of states) {
    if (start > at) gaps.push([at, start - at]);
    if (state === 'todo') gaps.push([start, length]);
    at = start + length;
  }
  if (at < total) gaps.push([at, total - at]);
  for (const [start, length] of gaps) if (start + length - 1 > index) return Math.max(start, index + 1);
  return gaps.length && gaps[0][0] < index ? gaps[0][0] : -1;
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

/** What is in view: frames [from, to), thumbs every `every` frames (so that one is `thumb` px or wider), ruler marks every `mark`. */
export function windowOf({ scroll, width, cell, total, thumb = 60 }) {
  const from = Math.max(0, Math.floor(scroll / cell));
  const to = Math.min(total, Math.ceil((scroll + width) / cell));
  const every = Math.max(1, Math.ceil(thumb / cell));
  return { from, to, every, mark: niceStep(cell, 56), tick: niceStep(cell, 9) };
}

/** Scroll offset so that `index` is in view, with room around it; unchanged when it is. */
export function scrollTo({ scroll, width, cell, total }, index) {
  const max = Math.max(0, total * cell - width);
  const room = Math.min(width / 4, 3 * cell);
  const left = index * cell;
  let next = scroll;
  if (left - room < scroll) next = left - room;
  else if (left + cell + room > scroll + width) next = left + cell + room - width;
  return Math.min(Math.max(next, 0), max);
}

/** Seconds → m:ss.mmm. */
export function timecode(seconds) {
  if (!Number.isFinite(seconds)) return '';
  const ms = Math.round(seconds * 1000);
  return `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, '0')}.${String(ms % 1000).padStart(3, '0')}`;
}
