/** Mattes: what is cut out, of which frames, by which engine, into which files. Pure. */
import { runsWithin, valueAt, without } from '../workspace/runs.js';
import { spanOf } from './stabilise.js';
import { trackedBy } from './tracks.js';

export const WHAT = ['selected', 'several'];
/** What is seen behind the preview. */
export const OVER = ['checker', 'colour', 'original', 'alpha'];
export const START = {
  what: 'selected', subject: null, picks: [], together: false, far: 'whole', engine: '', parameters: {},
  outputs: ['alpha-mp4', 'foreground-mp4'], background: '#00ff00', sound: true,
};
const FIELDS = {
  what: ['targets', 'name', 'track_ids', 'class_ids', 'region_ids', 'target'], far: ['start', 'stop', 'asset_id'], engine: ['engine'], outputs: ['outputs', 'background', 'sound'], parameters: ['parameters'],
};

/** What a region stands for: its track where it has one, else itself. {kind, id, class_id, index} */
export function subjectOf(region, index) {
  if (!region) return null;
  if (region.track_id) return { kind: 'track', id: region.track_id, class_id: region.class_id };
  return { kind: 'region', id: region.id, class_id: region.class_id, index };
}

export const keyOf = ({ kind, id }) => `${kind} ${id}`;

/** How a person calls it: {key, args} of a sentence, or {name}. */
export function nameOf({ kind, id, class_id: cls }, { lanes, classes }) {
  const name = classes.get(kind === 'class' ? id : cls)?.name ?? '';
  if (kind === 'track') return trackedBy(lanes, id)?.name ?? name;
  return name;
}

/** What there is to choose in a span: every class, then its tracks. [{kind, id, class_id, frames, level}] */
export function objectsIn(lanes, span) {
  if (!lanes || !span) return [];
  const count = (runs) => runsWithin(runs, span.start, span.stop + 1).reduce((sum, [, length]) => sum + length, 0);
  return lanes.classes.flatMap((lane) => {
    const tracks = lane.tracks.map((track) => ({ kind: 'track', id: track.id, class_id: lane.class_id, frames: count(track.regions), level: 1 }));
    return [{ kind: 'class', id: lane.class_id, class_id: lane.class_id, frames: count(lane.regions), level: 0 }, ...tracks];
  }).filter((one) => one.frames);
}

const idsOf = (subjects) => {
  const of = (kind) => subjects.filter((one) => one.kind === kind).map((one) => one.id);
  return Object.fromEntries([['track_ids', of('track')], ['class_ids', of('class')], ['region_ids', of('region')]].filter(([, ids]) => ids.length));
};

/** The subjects of each target: [[subject, …], …]; several together are one target. */
export function groupsOf({ what, subject, picks, together }) {
  const chosen = what === 'selected' ? (subject ? [subject] : []) : picks;
  return together && what === 'several' && chosen.length > 1 ? [chosen] : chosen.map((one) => [one]);
}

/** {start, stop, frames, groups, targets, wrong}; `wrong`: the key of a sentence that says why it cannot be, else null. */
export function planOf(choice, state, { cuts = null } = {}) {
  const groups = groupsOf(choice);
  const span = spanOf(choice, state, cuts);
  const plan = { ...span, frames: span ? span.stop - span.start + 1 : 0, groups, targets: groups.map(idsOf) };
  const wrong = !groups.length ? (choice.what === 'selected' ? 'matte.no_selected' : 'matte.no_object')
    : !span ? 'matte.no_range' : !choice.outputs.length ? 'matte.no_output' : null;
  return { ...plan, wrong };
}

/** Parameters that the engine reads and that a person changed. */
export function parametersOf({ parameters }, engine) {
  return Object.fromEntries(Object.entries(parameters).filter(([name, value]) => value !== null && engine?.parameters.includes(name)));
}

/** The body of a request, for an estimate and for the job alike. Without `named` the server chooses the engine. */
export function bodyOf(choice, plan, { assetId, engine, id = null, named = true }) {
  const { outputs, background, sound } = choice;
  return {
    asset_id: assetId, targets: plan.targets, start: plan.start, stop: plan.stop, ...(engine && named ? { engine: engine.id } : {}),
    parameters: parametersOf(choice, engine), outputs, background, sound, ...(id ? { id } : {}),
  };
}

/** The engine that would be used: the chosen one if it can run, else the recommended, else the first that can; null without. */
export function engineOf(choice, engines, recommended) {
  const ready = engines.filter((one) => one.available);
  return ready.find((one) => one.id === choice.engine) ?? ready.find((one) => one.id === recommended) ?? ready[0] ?? null;
}

/**
 * What to track so that the frames of `missing` get masks: [{direction, start, stop, index, subjects}], `index` the frame whose regions
 * are followed. From the last region before a gap forward; where there is none, from the first one behind it backward.
 * @param missing runs [start, length] of frames without a mask
 */
export function walksOf(subjects, missing, lanes) {
  const members = subjects.flatMap((one) => membersOf(one, lanes));
  const walks = new Map();
  for (const { subject, runs } of members) {
    const own = new Map();
    for (const [start, length] of without(missing, runs)) {
      const before = runs.findLast(([at]) => at < start);
      const behind = runs.find(([at]) => at > start);
      if (before) joined(own, before[0] + before[1] - 1, { stop: start + length - 1 });
      else if (behind) joined(own, behind[0], { start });
    }
    for (const [index, { start = index, stop = index }] of own) {
      const direction = start === index ? 'forward' : stop === index ? 'backward' : 'both';
      const sign = [index, direction, start, stop].join(' ');
      const walk = walks.get(sign) ?? { direction, start, stop, index, subjects: [] };
      walk.subjects.push(subject);
      walks.set(sign, walk);
    }
  }
  return [...walks.values()].sort((a, b) => a.start - b.start || a.index - b.index);
}

function joined(own, index, { start, stop }) {
  const known = own.get(index) ?? {};
  own.set(index, { ...known, ...(start === undefined ? {} : { start: Math.min(start, known.start ?? start) }), ...(stop === undefined ? {} : { stop: Math.max(stop, known.stop ?? stop) }) });
}

/** What can be followed of a subject: tracks, and regions that belong to none. */
function membersOf(subject, lanes) {
  if (subject.kind === 'region') return [{ subject, runs: [[subject.index, 1]] }];
  const all = lanes?.classes ?? [];
  if (subject.kind === 'track') {
    const track = trackedBy(lanes, subject.id);
    return track ? [{ subject, runs: track.regions }] : [];
  }
  return all.filter((lane) => lane.class_id === subject.id).flatMap((lane) => [
    ...lane.tracks.map((track) => ({ subject: { kind: 'track', id: track.id, class_id: lane.class_id }, runs: track.regions })),
    ...(lane.loose.length ? [{ subject: { kind: 'loose', id: lane.class_id, class_id: lane.class_id }, runs: lane.loose }] : []),
  ]);
}

/** The regions of a frame that a walk follows. */
export function seedsOf(walk, regions) {
  return regions.filter((region) => walk.subjects.some(({ kind, id }) => (kind === 'track' ? region.track_id === id
    : kind === 'region' ? region.id === id : !region.track_id && region.class_id === id)));
}

/** Whether the subject has a mask on frame `index`. */
export function isThere(subjects, index, { lanes, regions }) {
  if (regions?.length) return subjects.some(({ kind, id }) => regions.some((region) => (kind === 'track' ? region.track_id === id : kind === 'region' ? region.id === id : region.class_id === id)));
  return subjects.some((one) => membersOf(one, lanes).some(({ runs }) => valueAt(runs, index) !== null));
}

/** Where an error of the server belongs: 'what' | 'far' | 'engine' | 'outputs' | 'parameters' | 'go'. */
export function fieldOf(error) {
  const field = (error?.body?.field ?? '').split(/[.[]/)[0];
  return Object.keys(FIELDS).find((name) => FIELDS[name].includes(field)) ?? 'go';
}

/** Runs as a person reads them: '2–50, 61 and more'. At most `most` of them. */
export function runsText(runs, most = 4) {
  const text = runs.slice(0, most).map(([start, length]) => (length === 1 ? `${start + 1}` : `${start + 1}–${start + length}`)).join(', ');
  return runs.length > most ? `${text}, …` : text;
}

/** 1234567 → '1.2 MB', in powers of ten. */
export function sizeOf(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let n = bytes;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${n >= 10 || !unit ? Math.round(n) : n.toFixed(1)}\u202f${units[unit]}`;
}

/** Files by their target, in the order in which they come: [[target, [file, …]], …]. */
export function filesBy(files) {
  const found = new Map();
  for (const file of files) found.set(file.target ?? '', [...(found.get(file.target ?? '') ?? []), file]);
  return [...found];
}

/** What is seen of the preview: 'both', 'before' or 'after'; null where the frame is shown as ever. */
export function sideOfCutout({ cutout, frameId, prompt, proposal, draft, playing }) {
  // Who begins to work sees what there is.
  if (!cutout?.rgba || cutout.frameId !== frameId || prompt || proposal || draft || playing) return null;
  return cutout.held ? 'before' : cutout.side;
}
