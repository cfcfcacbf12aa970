/** Smoothing labels along time: what is asked for, what is left alone, what came of it. Pure. */
import { lengthOf, runsWithin, union, valueAt, without } from '../workspace/runs.js';

/** So many frames on either side count as "around here" where no cut is known. */
const AROUND = 25;
export const WHAT = ['all', 'classes', 'track'];
export const FAR = ['whole', 'range', 'around'];
/** What the page asks before the server has told its filters. */
export const START = { what: 'all', classIds: [], trackId: null, far: 'whole', method: 'average', window: 7, alpha: 0.3, motion: true, evidence: true, anchors: false };

const end = ({ start, stop }) => stop + 1;
const inSpan = (index, { start, stop }) => index >= start && index <= stop;
const within = (runs, span) => runsWithin(runs, span.start, end(span));

/**
 * The frames {start, stop} that `far` means, both ends in it; null where there are none.
 * @param cuts indices of frames that begin another shot, ascending; null where nobody looked
 */
export function spanOf({ far }, { total, index, range }, cuts = null) {
  if (total < 1) return null;
  if (far === 'range') return range ? { start: Math.max(0, range.start), stop: Math.min(total - 1, range.stop) } : null;
  if (far === 'whole') return { start: 0, stop: total - 1 };
  if (!cuts) return { start: Math.max(0, index - AROUND), stop: Math.min(total - 1, index + AROUND) };
  return { start: cuts.findLast((cut) => cut <= index) ?? 0, stop: (cuts.find((cut) => cut > index) ?? total) - 1 };
}

/** Lanes of what may change: [{class_id, track_id, regions, anchors}]; `track_id` null = regions without a track. */
function layersOf(lanes, { what, classIds, trackId }, locked) {
  return (lanes?.classes ?? []).flatMap(({ class_id, tracks, loose, loose_anchors: looseAnchors }) => [
    ...tracks.map((track) => ({ class_id, track_id: track.id, regions: track.regions, anchors: track.anchors })),
    ...(loose.length ? [{ class_id, track_id: null, regions: loose, anchors: looseAnchors }] : []),
  ]).filter((layer) => !locked[layer.class_id]
    && (what === 'all' || (what === 'classes' ? classIds.includes(layer.class_id) : layer.track_id === trackId)));
}

/** Classes with regions in the span that are not locked: [{class_id, frames}]. */
export function classesIn(lanes, span, locked = {}) {
  return (lanes?.classes ?? []).filter((lane) => !locked[lane.class_id])
    .map((lane) => ({ class_id: lane.class_id, frames: lengthOf(within(lane.regions, span)) })).filter((lane) => lane.frames);
}

/**
 * What would be asked for: {start, stop, frames, labelled, anchors, approved, locked, class_ids, track_ids, wrong}. `wrong`: the
 * key of a sentence that says why it cannot be, else null. `states`: runs [start, length, state] of the frames.
 * What stays as it is: `approved` frames, and `anchors` on others unless the choice says that they may change.
 */
export function planOf(choice, state, { states = [], cuts = null } = {}) {
  const span = spanOf(choice, state, cuts);
  if (!span) return { frames: 0, wrong: choice.far === 'range' ? 'stab.no_range' : 'stab.single_frame' };
  const { lanes, locked = {} } = state;
  const shown = classesIn(lanes, span);
  const layers = layersOf(lanes, choice, locked);
  const approved = within(states, span).filter(([, , value]) => value === 'approved');
  const isHeld = (index) => inSpan(index, span) && valueAt(approved, index) === null;
  const anchors = layers.reduce((sum, layer) => sum + layer.anchors.filter(isHeld).length, 0);
  const free = layers.reduce((sum, layer) => sum + lengthOf(without(within(layer.regions, span), approved)), 0);
  const plan = {
    ...span, frames: end(span) - span.start,
    labelled: lengthOf(union(layers.map((layer) => within(layer.regions, span)))),
    anchors, approved: lengthOf(approved), free: free - (choice.anchors ? 0 : anchors),
    locked: shown.filter(({ class_id }) => locked[class_id]).length,
    class_ids: choice.what === 'classes' || (choice.what === 'all' && shown.some(({ class_id }) => locked[class_id]))
      ? [...new Set(layers.map((layer) => layer.class_id))] : [],
    track_ids: choice.what === 'track' && choice.trackId ? [choice.trackId] : [],
  };
  return { ...plan, wrong: wrongWith(choice, plan, Boolean(lanes)) };
}

function wrongWith({ what, classIds, trackId }, { frames, labelled, approved, free }, known) {
  if (frames < 2) return 'stab.single_frame';
  if (what === 'classes' && !classIds.length) return 'stab.no_class';
  if (what === 'track' && !trackId) return 'stab.no_track';
  if (known && !labelled) return 'stab.nothing';
  if (approved >= frames) return 'stab.all_approved';
  return known && !free ? 'stab.all_held' : null;
}

/** The body of the request for a plan. `from`: the preview whose maps are taken over, null for a preview. */
export function bodyOf(choice, plan, { assetId, id, from = null }) {
  const { method, window, alpha, motion, evidence, anchors } = choice;
  const { start, stop, class_ids, track_ids } = plan;
  return {
    asset_id: assetId, start, stop, method, window, alpha, motion, evidence, class_ids, track_ids, preview: !from, id,
    overwrite_anchors: anchors, ...(from ? { from_job: from } : {}),
  };
}

/** The choice as the filters of the server allow it: an unknown filter becomes the first one, a value the nearest allowed. */
export function allowed(choice, methods) {
  const known = methods.find((one) => one.id === choice.method) ?? methods[0];
  if (!known) return choice;
  const { id, parameter, least, most, step } = known;
  const steps = Math.round((Math.min(most, Math.max(least, choice[parameter])) - least) / step);
  return { ...choice, method: id, [parameter]: Number((least + steps * step).toFixed(6)) };
}

/** All values of a filter's parameter. */
export function valuesOf({ least, most, step }) {
  return Array.from({ length: Math.round((most - least) / step) + 1 }, (_, i) => Number((least + i * step).toFixed(6)));
}

/** Where an error of the server belongs: 'what' | 'far' | 'filter' | 'go'. */
export function fieldOf(error) {
  const field = error?.body?.field ?? '';
  if (['class_ids', 'track_ids'].includes(field)) return 'what';
  if (['start', 'stop', 'asset_id'].includes(field)) return 'far';
  return ['method', 'window', 'alpha'].includes(field) ? 'filter' : 'go';
}

/** Places in a curve that changed, as frame indices. */
export const changedFrames = (curve) => (curve?.changed ?? []).flatMap((pixels, i) => (pixels ? [curve.start + i] : []));

/** The next (1) or previous (−1) of some frames seen from `index`, −1 where there is none. */
export function nextOf(frames, index, step) {
  return (step > 0 ? frames.find((one) => one > index) : frames.findLast((one) => one < index)) ?? -1;
}

const worst = (values, from, to) => {
  let found = null;
  for (let i = from; i < to; i++) if (values[i] !== null && values[i] !== undefined && (found === null || values[i] > found)) found = values[i];
  return found;
};

/** A curve in at most `most` buckets: {step, before, after}, the worst value of each; null where nothing was compared. */
export function bucketed({ before, after }, most) {
  const n = before.length;
  const step = Math.max(1, Math.ceil(n / most));
  const each = (values) => Array.from({ length: Math.ceil(n / step) }, (_, i) => worst(values, i * step, Math.min(n, (i + 1) * step)));
  return { step, before: each(before), after: each(after) };
}

/** A round number that no value of the curve passes, 1 at most. */
export function ceilingOf({ before, after }, limit) {
  const top = Math.max(limit * 1.2, worst(before, 0, before.length) ?? 0, worst(after, 0, after.length) ?? 0);
  return [0.1, 0.25, 0.5, 0.75].find((one) => one >= top) ?? 1;
}
