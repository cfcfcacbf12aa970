import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createComparison, middleOfChange, sideOf, wantedAround, wipeAt } from '../../static/canvas/comparison.js';
import { allowed, bodyOf, bucketed, ceilingOf, changedFrames, fieldOf, nextOf, planOf, spanOf, valuesOf, START } from '../../static/canvas/stabilise.js';
import { createStabilise } from '../../static/canvas/stabilising.js';
import { createStore } from '../../static/canvas/store.js';
import { createStrings } from '../../static/canvas/strings.js';

const METHODS = [
  { id: 'average', title: 'Moving average', parameter: 'window', least: 3, most: 9, step: 2, default: 5 },
  { id: 'exponential', title: 'Exponential', parameter: 'alpha', least: 0.1, most: 0.9, step: 0.1, default: 0.3 },
];
const track = (id, regions, anchors = []) => ({ id, name: id, regions, anchors, lost: [], flagged: [] });
const LANES = { classes: [
  { class_id: 1, regions: [[0, 20]], tracks: [track('car 1', [[0, 10]], [0, 4]), track('car 2', [[10, 10]], [19])], loose: [], loose_anchors: [] },
  { class_id: 2, regions: [[15, 25]], tracks: [], loose: [[15, 25]], loose_anchors: [16, 17] },
] };
const at = (patch = {}) => ({ total: 60, index: 12, range: null, lanes: LANES, locked: {}, ...patch });
const choice = (patch = {}) => ({ ...START, ...patch });
const facts = (patch = {}) => ({ states: [[0, 50, 'todo'], [50, 10, 'approved']], cuts: null, ...patch });

test('the frames are all of them, the selected ones, or the shot around the open one', () => {
  const span = (far, patch, cuts) => spanOf({ far }, at(patch), cuts);
  assert.deepEqual(span('whole'), { start: 0, stop: 59 });
  assert.deepEqual(span('range', { range: { start: 5, stop: 9 } }), { start: 5, stop: 9 });
  assert.equal(span('range'), null);
  assert.deepEqual(span('around', { index: 30 }, [10, 40]), { start: 10, stop: 39 });
  assert.deepEqual(span('around', { index: 40 }, [10, 40]), { start: 40, stop: 59 });
  // Nobody looked for cuts: some frames on both sides.
  assert.deepEqual(span('around', { index: 4 }), { start: 0, stop: 29 });
});

test('anchors and approved frames are counted as what stays; so is what is locked', () => {
  const plan = (patch, state, known) => planOf(choice(patch), at(state), facts(known));
  const all = plan();
  assert.deepEqual([all.frames, all.labelled, all.anchors, all.approved, all.wrong], [60, 40, 5, 10, null]);
  assert.deepEqual([all.class_ids, all.track_ids], [[], []]);
  const cars = plan({ what: 'classes', classIds: [1] });
  assert.deepEqual([cars.labelled, cars.anchors, cars.class_ids], [20, 3, [1]]);
  const one = plan({ what: 'track', trackId: 'car 1' }, { range: { start: 2, stop: 30 } });
  assert.deepEqual([one.labelled, one.anchors, one.track_ids], [10, 2, ['car 1']]);
  // An anchor on an approved frame is counted with the frame.
  assert.equal(plan({}, {}, { states: [[0, 5, 'approved'], [5, 55, 'todo']] }).anchors, 3);
  const open = plan({}, { locked: { 2: true } });
  assert.deepEqual([open.class_ids, open.locked, open.labelled], [[1], 1, 20]);
});

test('what cannot become a preview is refused before it is asked', () => {
  const wrong = (patch, state, known) => planOf(choice(patch), at(state), facts(known)).wrong;
  assert.equal(wrong({}, { total: 1 }), 'stab.single_frame');
  assert.equal(wrong({ far: 'range' }), 'stab.no_range');
  assert.equal(wrong({ far: 'range' }, { range: { start: 45, stop: 49 } }), 'stab.nothing');
  assert.equal(wrong({ what: 'classes' }), 'stab.no_class');
  assert.equal(wrong({ what: 'track' }), 'stab.no_track');
  assert.equal(wrong({}, {}, { states: [[0, 60, 'approved']] }), 'stab.all_approved');
  const held = { range: { start: 16, stop: 17 }, lanes: { classes: [LANES.classes[1]] } };
  assert.equal(wrong({ far: 'range' }, held), 'stab.all_held');
  assert.equal(wrong({ far: 'range', anchors: true }, held), null);
  // Before the lanes have come, the server decides.
  assert.equal(wrong({}, { lanes: null }), null);
});

test('the request names the choice; one that applies names the preview it came from', () => {
  const plan = planOf(choice({ what: 'classes', classIds: [2] }), at(), facts());
  assert.deepEqual(bodyOf(choice({ method: 'median', window: 7, evidence: false }), plan, { assetId: 'v', id: 'j' }), {
    asset_id: 'v', start: 0, stop: 59, method: 'median', window: 7, alpha: 0.3, motion: true, evidence: false,
    class_ids: [2], track_ids: [], overwrite_anchors: false, preview: true, id: 'j',
  });
  const applies = bodyOf(choice(), plan, { assetId: 'v', id: 'k', from: 'j' });
  assert.deepEqual([applies.preview, applies.from_job], [false, 'j']);
});

test('only values that the server allows can be chosen', () => {
  assert.deepEqual(valuesOf(METHODS[0]), [3, 5, 7, 9]);
  assert.deepEqual(valuesOf(METHODS[1]), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
  assert.equal(allowed(choice({ window: 6 }), METHODS).window, 7);
  assert.equal(allowed(choice({ window: 99 }), METHODS).window, 9);
  assert.equal(allowed(choice({ method: 'exponential', alpha: 0 }), METHODS).alpha, 0.1);
  assert.equal(allowed(choice({ method: 'wiener' }), METHODS).method, 'average');
  assert.deepEqual(['class_ids', 'stop', 'alpha', undefined].map((field) => fieldOf({ body: { field } })), ['what', 'far', 'filter', 'go']);
});

test('a long curve keeps the worst value of what one column shows, and gaps where nothing was compared', () => {
  const curve = { start: 10, before: [null, 0.1, 0.6, 0.2, null, null], after: [null, 0.1, 0.1, 0.1, null, null], changed: [0, 0, 40, 0, 3, 0] };
  assert.deepEqual(bucketed(curve, 3), { step: 2, before: [0.1, 0.6, null], after: [0.1, 0.1, null] });
  assert.equal(bucketed(curve, 300).step, 1);
  assert.equal(ceilingOf(curve, 0.17), 0.75);
  assert.equal(ceilingOf({ before: [0.01], after: [null] }, 0.17), 0.25);
  assert.deepEqual(changedFrames(curve), [12, 14]);
  assert.deepEqual([nextOf([12, 14], 12, 1), nextOf([12, 14], 12, -1), nextOf([12, 14], 13, -1)], [14, -1, 12]);
});

const map = (ids, classes = [1]) => ({ width: 4, height: 1, regions: classes.map((class_id) => ({ class_id })), ids: Uint8Array.from(ids) });

test('both sides are seen until somebody works; the border lies on the frame and begins where it changes', () => {
  const compared = { after: map([1, 1, 0, 0]), side: 'both', held: false };
  const state = { compared, map: map([1, 0, 0, 0]), prompt: null, proposal: null, draft: null };
  assert.equal(sideOf(state), 'both');
  assert.equal(sideOf({ ...state, compared: { ...compared, held: true } }), 'before');
  assert.equal(sideOf({ ...state, compared: { ...compared, side: 'after' } }), 'after');
  for (const alone of [{ compared: null }, { compared: { ...compared, after: null } }, { prompt: {} }, { proposal: {} }]) assert.equal(sideOf({ ...state, ...alone }), null);
  const seen = { view: { scale: 10, x: -20, y: 5 }, viewport: { width: 100, height: 100 }, width: 8, height: 4 };
  assert.deepEqual(wipeAt(seen, 0.5), { x: 30, left: 0, right: 60, top: 5, bottom: 45 });
  assert.equal(wipeAt({ ...seen, view: { scale: 10, x: 500, y: 0 } }, 0.5), null);
  assert.equal(middleOfChange(state.map, compared.after), 0.375);
  // The same class by another number is no change.
  assert.equal(middleOfChange(map([1, 0, 0, 0]), map([2, 0, 0, 0], [7, 1])), null);
});

test('the maps of the neighbours are fetched ahead, in the direction of travel and within the preview', () => {
  assert.deepEqual(wantedAround(5, 1, { start: 4, stop: 8 }), [5, 6, 4, 7, 8]);
  assert.deepEqual(wantedAround(5, -1, { start: 4, stop: 8 }), [5, 4, 6, 7, 8]);
});

test('the map of a frame comes with the frame, and not before', async () => {
  const asked = [];
  const store = createStore({ index: 2, frameId: 'v-000002', compared: null });
  const comparison = createComparison({ store, load: async (job, index) => {
    asked.push(index);
    if (index === 3) throw new Error('gone');
    return map([index, 0, 0, 0]);
  } });
  const settled = () => new Promise((resolve) => { setImmediate(resolve); });
  comparison.open({ job: 'j', start: 1, stop: 4 });
  await settled();
  assert.deepEqual(asked.toSorted(), [1, 2, 3, 4]);
  assert.equal(store.get().compared.after.ids[0], 2);
  store.set({ index: 4 });
  assert.equal(store.get().compared.after.ids[0], 2);
  store.set({ frameId: 'v-000004' });
  assert.equal(store.get().compared.after.ids[0], 4);
  store.set({ index: 3, frameId: 'v-000003' });
  assert.deepEqual([store.get().compared.after, store.get().compared.missing], [null, true]);
  store.set({ index: 9, frameId: 'v-000009' });
  assert.deepEqual([store.get().compared.after, store.get().compared.outside], [null, true]);
  assert.equal(asked.length, 4);
});

/** The panel's logic with a server that answers from a script: `jobs` by id, in the states they go through. */
function scene(answers = {}) {
  const log = [];
  const jobs = [];
  const transport = {
    stabilisers: async () => METHODS, timeline: async () => ({ states: [] }), cuts: async () => [],
    change: async (build) => {
      const { url, body } = build();
      log.push([url, body.preview]);
      if (answers.refuse) throw answers.refuse;
      jobs.push({ id: body.id, state: 'waiting' });
      return jobs.at(-1);
    },
    job: async (id) => ({ id, state: answers.state ?? 'running', reason: 'The disk is full.', result: { start: 0, stop: 59, changed: answers.changed ?? 2, regions: 3 } }),
    stabilisedCurve: async () => ({ start: 0, before: [null, 0.5], after: [null, 0.1], changed: [0, 7] }),
    stabilisedMap: async () => map([1, 1, 0, 0]),
    cancelJob: async (id) => log.push(['cancel', id === jobs.at(-1).id]),
  };
  const store = createStore({ ...at(), frameId: 'v-000012', regions: [], selected: null, tool: 'box', classId: 1, stabilise: null, compared: null, whatIf: null, unsent: 0, map: null });
  const app = { useTool: (tool) => store.set({ tool }), toCanvas: () => log.push(['canvas']), goto: (index) => log.push(['goto', index]), undo: () => log.push(['undo']) };
  const frames = { changedAll: () => log.push(['all']), refresh: async () => {} };
  const stabilise = createStabilise({ store, transport, frames, app, emit: () => {}, say: () => {}, announce: () => {}, t: createStrings(), projectId: 'p', assetId: 'v', memory: {} });
  return { stabilise, store, log, answers, now: () => store.get().stabilise };
}

test('a preview is asked for, compared with the hand as tool, applied, and taken back as one step', async () => {
  const { stabilise, store, log, answers, now } = scene();
  await stabilise.open();
  await stabilise.preview();
  assert.equal(now().phase, 'previewing');
  answers.state = 'done';
  await stabilise.follow();
  assert.deepEqual([now().phase, store.get().tool, store.get().compared.stop], ['preview', 'pan', 59]);
  answers.state = 'running';
  await stabilise.apply();
  assert.equal(now().phase, 'applying');
  answers.state = 'done';
  await stabilise.follow();
  assert.deepEqual([now().phase, now().undoable, store.get().tool, store.get().compared, store.get().canUndo], ['applied', true, 'box', null, true]);
  assert.deepEqual(log, [['/projects/p/stabilise', true], ['/projects/p/stabilise', false], ['all']]);
  assert.equal(stabilise.sentenceOf({ regions: 3, changed: 1 }), '3 regions on 1 frame changed.');
  stabilise.undo();
  assert.deepEqual([log.at(-1), now().phase], [['undo'], 'setup']);
});

test('undo is offered until another change is made', async () => {
  const { stabilise, store, answers, now } = scene();
  await stabilise.open();
  answers.state = 'done';
  await stabilise.preview();
  await stabilise.apply();
  assert.equal(now().undoable, true);
  store.set({ unsent: 1 });
  assert.equal(now().undoable, false);
});

test('what the server refuses stands at its field; what fails or is cancelled leads back to the choice', async () => {
  const { stabilise, answers, now } = scene();
  await stabilise.open();
  answers.refuse = Object.assign(new Error('Alpha must lie between 0.1 and 0.9.'), { body: { field: 'alpha' } });
  await stabilise.preview();
  assert.deepEqual([now().phase, now().problem.field, now().busy], ['setup', 'filter', false]);
  stabilise.choose({ window: 7 });
  assert.equal(now().problem, null);
  answers.refuse = null;
  answers.state = 'failed';
  await stabilise.preview();
  assert.deepEqual([now().phase, now().problem], ['setup', { field: 'go', text: 'The disk is full.', hint: false }]);
  answers.state = 'cancelled';
  await stabilise.preview();
  assert.equal(now().problem.text, 'It was cancelled. No label was changed.');
});

test('closing lets the preview go, and a job that still makes it', async () => {
  const { stabilise, store, log, answers, now } = scene();
  await stabilise.open();
  await stabilise.preview();
  stabilise.close();
  assert.deepEqual([now(), log.slice(-2)], [null, [['cancel', true], ['canvas']]]);
  await stabilise.open();
  answers.state = 'done';
  answers.changed = 0;
  await stabilise.preview();
  // Nothing would change: there is nothing to compare.
  assert.deepEqual([now().phase, store.get().compared, store.get().tool], ['preview', null, 'box']);
});
