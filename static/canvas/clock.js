/**
 * The clock of playback: which frame is due. Times are seconds of the asset, instants ms of the browser. Pure.
 */

/** What a frame without a time of its own is shown for when not even the rate is known. */
const DEFAULT_FPS = 10;
/** Two frames of one time must not make the clock stand still. */
const LEAST_GAP_S = 1 / 240;

/**
 * The frames that are played: [first, last].
 * @param state {total, loop, range: {start, stop} | null}; a range counts only where it is looped.
 */
export function boundsOf({ total, loop, range }) {
  if (!loop || !range) return [0, total - 1];
  const clamp = (index) => Math.min(Math.max(index, 0), total - 1);
  return [clamp(Math.min(range.start, range.stop)), clamp(Math.max(range.start, range.stop))];
}

/**
 * The frame after `at` in the direction of playback, or null behind the last one.
 * `stride`: where not every frame can be had in time, only those that are multiples of it (and the ends) are played.
 */
export function following(at, { total, loop, range, backward = false, stride = 1 }) {
  const [first, last] = boundsOf({ total, loop, range });
  const [begin, end] = backward ? [last, first] : [first, last];
  if (at < first || at > last) return begin;
  if (at === end) return loop && first !== last ? begin : null;
  if (backward) return Math.max(first, Math.ceil(at / stride) * stride - stride);
  return Math.min(last, Math.floor(at / stride) * stride + stride);
}

/** Where playback from `index` begins: at the other end when it stands at the end, or inside the looped range. */
export function startOf(index, state) {
  const [first, last] = boundsOf(state);
  const [begin, end] = state.backward ? [last, first] : [first, last];
  return index < first || index > last || index === end ? begin : index;
}

/** How many seconds `from` is shown for before `to`, by their own times where both are known. */
export function gapOf(from, to, { timeOf, fps, backward = false }) {
  const rate = fps > 0 ? fps : DEFAULT_FPS;
  const [a, b] = backward ? [timeOf(to), timeOf(from)] : [timeOf(from), timeOf(to)];
  // Over the seam of a loop time runs the other way: then one frame's length.
  const ahead = backward ? to < from : to > from;
  const gap = ahead && a != null && b != null ? b - a : ahead ? Math.abs(to - from) / rate : 1 / rate;
  return Math.max(gap, LEAST_GAP_S);
}

/**
 * The clock at `now`. `clock`: {at, since}: the frame that is due, and the instant from which it was.
 * @param play {total, loop, range, backward, stride, speed, fps, timeOf(index) → s or null}
 * @returns {at, since, path: [{at, since}] that became due meanwhile, in order, ended: true where nothing comes after `at`}
 */
export function advance(clock, now, play) {
  let { at, since } = clock;
  const path = [];
  for (;;) {
    const next = following(at, play);
    if (next === null) return { at, since, path, ended: true };
    const until = since + (gapOf(at, next, play) * 1000) / play.speed;
    if (until > now) return { at, since, path, ended: false };
    // After a long pause of the browser (a laptop that slept) the rest is not made up for.
    if (path.length > 600) return { at, since: now, path, ended: false };
    at = next;
    since = until;
    path.push({ at, since });
  }
}

/** The next `count` frames of playback after `at`, most urgent first, none twice. */
export function upcoming(at, count, play) {
  const out = [];
  let next = at;
  while (out.length < count) {
    next = following(next, play);
    if (next === null || next === at || out[0] === next) break;
    out.push(next);
  }
  return out;
}

/** The frames around `index` that are worth having, most urgent first: both ways, more in `direction` (1 or -1). */
export function around(index, count, total, direction) {
  const steps = [1, -1, 2, -2, 3, 4, -3, 5, 6, 7, 8, -4, 9, 10, 11, 12, ...[5, 6, 7, 8, 9, 10, 11, 12].map((n) => -n)];
  return steps.map((step) => index + step * direction).filter((i) => i >= 0 && i < total).slice(0, count);
}
