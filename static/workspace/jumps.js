/** Where the keys that jump lead: the next or previous frame of a kind, from the other end when there is none. Pure. */
import { firstAfter } from './runs.js';

/** The frames of [0, total) that are in none of the runs, as runs. */
export function gapsOf(runs, total) {
  const out = [];
  let at = 0;
  for (const [start, length] of runs) {
    if (start > at) out.push([at, start - at]);
    at = Math.max(at, start + length);
  }
  if (at < total) out.push([at, total - at]);
  return out;
}

/** The nearest other frame of the runs after `index` (step 1) or before it (step −1), or −1. */
export function nextInRuns(runs, index, step) {
  if (!runs.length) return -1;
  const last = (run) => run[0] + run[1] - 1;
  let found;
  if (step > 0) {
    const run = runs[firstAfter(runs, index + 1)];
    found = run ? Math.max(run[0], index + 1) : runs[0][0];
  } else {
    const i = firstAfter(runs, index);
    const run = runs[i]?.[0] < index ? runs[i] : runs[i - 1];
    found = run ? Math.min(last(run), index - 1) : last(runs[runs.length - 1]);
  }
  return found === index ? -1 : found;
}

/** The same for single frames, ascending. */
export const nextMark = (marks, index, step) => nextInRuns(marks.map((at) => [at, 1]), index, step);

/** Frames to do: those whose run says so, and those without a run. */
export const todoOf = (states, total) => gapsOf(states.filter(([, , state]) => state !== 'todo'), total);

/** Where something begins or ends in a lane: first frames of its runs, last frames, anchors. Ascending, each once. */
export function eventsOf({ regions, anchors, lost, flagged }) {
  const all = new Set(anchors);
  for (const [start, length] of [...regions, ...lost, ...flagged]) all.add(start).add(start + length - 1);
  return [...all].sort((a, b) => a - b);
}

/** All anchors of the lanes, or those of one track; ascending, each once. */
export function anchorsOf(lanes, trackId = null) {
  const found = new Set();
  for (const lane of lanes?.classes ?? []) {
    for (const track of lane.tracks) if (!trackId || track.id === trackId) track.anchors.forEach((at) => found.add(at));
    if (!trackId) lane.loose_anchors.forEach((at) => found.add(at));
  }
  return [...found].sort((a, b) => a - b);
}

/** The nearest frame of the runs to `index`, or −1. */
export function nearestIn(runs, index) {
  const run = runs[firstAfter(runs, index)];
  const before = runs[firstAfter(runs, index) - 1];
  if (run && run[0] <= index) return index;
  const ahead = run ? run[0] : Infinity;
  const behind = before ? before[0] + before[1] - 1 : -Infinity;
  if (ahead === Infinity && behind === -Infinity) return -1;
  return ahead - index <= index - behind ? ahead : behind;
}
