import assert from 'node:assert/strict';
import { test } from 'node:test';
import { START, bodyOf, engineOf, fieldOf, filesBy, groupsOf, nameOf, objectsIn, planOf, runsText, seedsOf, sideOfCutout, sizeOf, subjectOf, walksOf } from '../../static/canvas/matte.js';
import { createMatte } from '../../static/canvas/matting.js';
import { createStore } from '../../static/canvas/store.js';
import { createStrings } from '../../static/canvas/strings.js';

const track = (id, regions, anchors = []) => ({ id, name: `${id}!`, regions, anchors, lost: [], flagged: [] });
const LANES = { classes: [
  { class_id: 1, regions: [[0, 20]], tracks: [track('t1', [[0, 10]], [0]), track('t2', [[12, 4]], [12])], loose: [], loose_anchors: [] },
  { class_id: 2, regions: [[30, 1]], tracks: [], loose: [[30, 1]], loose_anchors: [30] },
] };
const CLASSES = new Map([[1, { name: 'car', colour: '#aa0000' }], [2, { name: 'swan', colour: '#00aa00' }]]);
const ENGINES = [
  { id: 'matte-fast', available: true, needs: 'every', parameters: ['band', 'erode', 'steady'] },
  { id: 'matte-fine', available: true, needs: 'every', parameters: ['band', 'erode', 'steady'] },
  { id: 'videomama', available: false, needs: 'every', parameters: ['chunk'], reason: 'No weights.', step: 'Fetch them.' },
];
const T1 = { kind: 'track', id: 't1', class_id: 1 };
const T2 = { kind: 'track', id: 't2', class_id: 1 };
const LONE = { kind: 'region', id: 'r9', class_id: 2, index: 30 };
const at = (patch = {}) => ({ total: 60, index: 12, range: null, lanes: LANES, classes: CLASSES, regions: [], ...patch });

test('a region stands for its track, or for itself on its frame', () => {
  assert.deepEqual(subjectOf({ id: 'r1', track_id: 't1', class_id: 1 }, 3), T1);
  assert.deepEqual(subjectOf({ id: 'r9', track_id: null, class_id: 2 }, 30), LONE);
  assert.equal(subjectOf(null, 0), null);
  assert.deepEqual([nameOf(T1, at()), nameOf(LONE, at()), nameOf({ kind: 'class', id: 1 }, at())], ['t1!', 'swan', 'car']);
});

test('classes and tracks with labels in the frames can be chosen', () => {
  const listed = objectsIn(LANES, { start: 5, stop: 13 });
  assert.deepEqual(listed.map(({ kind, id, frames, level }) => [kind, id, frames, level]), [['class', 1, 9, 0], ['track', 't1', 5, 1], ['track', 't2', 2, 1]]);
  assert.deepEqual(objectsIn(LANES, null), []);
});

test('several objects are a matte each, or one together', () => {
  const several = { ...START, what: 'several', picks: [T1, { kind: 'class', id: 2, class_id: 2 }] };
  assert.deepEqual(planOf(several, at()).targets, [{ track_ids: ['t1'] }, { class_ids: [2] }]);
  assert.deepEqual(planOf({ ...several, together: true }, at()).targets, [{ track_ids: ['t1'], class_ids: [2] }]);
  assert.equal(groupsOf({ ...several, picks: [T1], together: true }).length, 1);
});

test('it says what is missing before it can begin', () => {
  const wrong = (choice, state) => planOf({ ...START, ...choice }, at(state)).wrong;
  assert.equal(wrong({}), 'matte.no_selected');
  assert.equal(wrong({ what: 'several' }), 'matte.no_object');
  assert.equal(wrong({ subject: T1, far: 'range' }), 'matte.no_range');
  assert.equal(wrong({ subject: T1, outputs: [] }), 'matte.no_output');
  assert.equal(wrong({ subject: T1, far: 'range' }, { range: { start: 3, stop: 5 } }), null);
});

test('what is asked holds only what the engine reads, and names an engine only where one was chosen', () => {
  const choice = { ...START, subject: T1, parameters: { band: 6, chunk: 8, steady: null } };
  const body = bodyOf(choice, planOf(choice, at()), { assetId: 'a', engine: ENGINES[1], named: false });
  assert.deepEqual(body, { asset_id: 'a', targets: [{ track_ids: ['t1'] }], start: 0, stop: 59, parameters: { band: 6 }, outputs: ['alpha-mp4', 'foreground-mp4'], background: '#00ff00', sound: true });
  assert.deepEqual([bodyOf(choice, planOf(choice, at()), { assetId: 'a', engine: ENGINES[1], id: 'j' })].map((one) => [one.engine, one.id]), [['matte-fine', 'j']]);
});

test('the chosen engine is used where it can run, else the recommended one', () => {
  assert.equal(engineOf({ engine: 'matte-fast' }, ENGINES, 'matte-fine').id, 'matte-fast');
  assert.equal(engineOf({ engine: 'videomama' }, ENGINES, 'matte-fine').id, 'matte-fine');
  assert.equal(engineOf({ engine: '' }, ENGINES, undefined).id, 'matte-fast');
  assert.equal(engineOf({ engine: '' }, [ENGINES[2]], 'videomama'), null);
});

test('frames without a mask are reached from the nearest region before them, else from the first behind', () => {
  const walk = (subjects, missing) => walksOf(subjects, missing, LANES).map(({ direction, start, stop, index, subjects: on }) => [direction, start, stop, index, on.map((one) => one.id)]);
  assert.deepEqual(walk([T1], [[10, 50]]), [['forward', 9, 59, 9, ['t1']]]);
  assert.deepEqual(walk([LONE], [[0, 30], [31, 29]]), [['both', 0, 59, 30, ['r9']]]);
  assert.deepEqual(walk([T2], [[5, 7]]), [['backward', 5, 12, 12, ['t2']]]);
  // A class: its tracks and the regions without one; a gap that a member fills itself is left alone.
  assert.deepEqual(walk([{ kind: 'class', id: 2, class_id: 2 }], [[31, 9]]), [['forward', 30, 39, 30, [2]]]);
  assert.deepEqual(walk([T1, T2], [[10, 2], [16, 4]]), [['forward', 9, 19, 9, ['t1']], ['backward', 10, 12, 12, ['t2']], ['forward', 15, 19, 15, ['t2']]]);
  const regions = [{ id: 'r1', track_id: 't1', class_id: 1 }, { id: 'r9', track_id: null, class_id: 2 }];
  assert.deepEqual(seedsOf({ subjects: [T1] }, regions), [regions[0]]);
  assert.deepEqual(seedsOf({ subjects: [{ kind: 'loose', id: 2 }] }, regions), [regions[1]]);
});

test('words and numbers: runs, sizes, files by target, fields of errors', () => {
  assert.equal(runsText([[1, 49], [60, 1]]), '2–50, 61');
  assert.equal(runsText([[0, 1], [2, 1], [4, 1]], 2), '1, 3, …');
  assert.deepEqual([512, 1500, 12_345_678].map(sizeOf), ['512\u202fB', '1.5\u202fkB', '12\u202fMB']);
  assert.deepEqual(filesBy([{ name: 'a', target: 'x' }, { name: 'b', target: 'y' }, { name: 'c', target: 'x' }]).map(([target, files]) => [target, files.length]), [['x', 2], ['y', 1]]);
  const field = (name) => fieldOf({ body: { field: name } });
  assert.deepEqual(['targets[0].track_ids', 'stop', 'engine', 'outputs', 'parameters.band', 'other'].map(field), ['what', 'far', 'engine', 'outputs', 'parameters', 'go']);
});

test('the matte is seen on its frame only, and not while somebody works', () => {
  const state = { cutout: { frameId: 'f', rgba: {}, side: 'both', held: false }, frameId: 'f', prompt: null, proposal: null, draft: null, playing: false };
  assert.equal(sideOfCutout(state), 'both');
  assert.equal(sideOfCutout({ ...state, cutout: { ...state.cutout, held: true } }), 'before');
  for (const other of [{ frameId: 'g' }, { prompt: {} }, { draft: {} }, { playing: true }, { cutout: null }]) assert.equal(sideOfCutout({ ...state, ...other }), null);
});

/** The panel's logic with a server that answers from a script. */
function scene(answers = {}) {
  const log = [];
  const timers = [];
  const made = [];
  const answer = async ({ url, body }) => {
    log.push([url.split('/').slice(3).join('/'), body.start ?? null, body.engine ?? null]);
    if (answers.refuse?.[url.split('/').at(-1)]) throw answers.refuse[url.split('/').at(-1)];
    if (url.endsWith('/estimate')) return { targets: [{ name: 'swan', missing: answers.missing ?? [], anchors: [30] }], recommended: 'matte-fine', limits: [] };
    if (url.endsWith('/matte-preview')) return { rgba: '/rgba.png', alpha: '/alpha.png' };
    made.push({ id: `${url.split('/').at(-1)} ${made.length}`, kind: url.split('/').at(-1), state: 'waiting', asked: body });
    return made.at(-1);
  };
  const transport = {
    matteEngines: async () => ENGINES, cuts: async () => [], sound: async () => ({ available: true }), jobs: async () => answers.jobs ?? [],
    post: (url, body) => answer({ url, body }), change: (build) => answer(build()), picture: async (url) => ({ url, close: () => log.push(['closed', url]) }),
    frame: async () => ({ regions: [{ id: 'r9', class_id: 2, track_id: answers.trackOf ?? null }] }),
    job: async (id) => ({ id, state: answers.state ?? 'running', reason: 'The disk is full.', result: answers.result }),
    cancelJob: async (id) => log.push(['cancel', id]), retryJob: async (id) => ({ id, state: 'waiting' }),
  };
  const region = { id: 'r9', class_id: 2, track_id: null };
  const store = createStore({ ...at({ index: 30, regions: [region], ...answers.at }), frameId: 'a-000030', selected: 'r9', tool: 'point-plus', engine: 'classic', engines: [{ id: 'classic', can: ['points', 'track'], available: true }, { id: 'sam3', can: ['text'], available: false, reason: 'No weights are there.' }], matte: null, cutout: null, stabilise: null, whatIf: null, unsent: 0, playing: false });
  const app = { useTool: (tool) => store.set({ tool }), toCanvas: () => log.push(['canvas']), startText: (text) => log.push(['text', text]) };
  const matte = createMatte({ store, transport, app, emit: () => {}, say: (text) => log.push(['say', text]), announce: () => {}, t: createStrings(), projectId: 'p', assetId: 'a', memory: {}, later: (run) => timers.push(run), locate: () => 0.3 });
  return { matte, store, log, answers, made, now: () => store.get().matte, rest: async () => { for (const run of timers.splice(0)) await run(); } };
}

test('a lone region is tracked first with one click, and the matte of its track follows by itself', async () => {
  const { matte, now, made, answers, log } = scene({ missing: [[0, 30], [31, 29]] });
  await matte.open();
  assert.equal(matte.engine().id, 'matte-fine');
  await matte.trackFirst();
  assert.equal(now().phase, 'tracking');
  assert.deepEqual(made.map(({ kind, asked }) => [kind, asked.region_ids, asked.direction, asked.start, asked.stop, asked.engine]), [['tracks', ['r9'], 'both', 0, 59, 'classic']]);
  Object.assign(answers, { state: 'done', trackOf: 't7', result: { files: [{ name: 'a_swan_alpha.mp4', bytes: 1 }] } });
  await matte.follow();
  assert.deepEqual([made.at(-1).kind, made.at(-1).asked.targets], ['mattes', [{ track_ids: ['t7'] }]]);
  assert.equal(now().phase, 'done');
  assert.ok(log.every(([what]) => what !== 'cancel'));
});

test('tracking that is cancelled leads back to the choice, and no matte is begun', async () => {
  const { matte, now, made, answers } = scene({ missing: [[31, 29]] });
  await matte.open();
  await matte.trackFirst();
  answers.state = 'cancelled';
  await matte.follow();
  assert.deepEqual([now().phase, now().problem.text, made.length], ['setup', 'Tracking was cancelled. What was tracked is kept.', 1]);
});

test('a preview is compared with the hand as tool, is made anew for another frame, and goes away with the panel', async () => {
  const { matte, store, now, log, rest } = scene();
  await matte.open();
  await matte.preview();
  const seen = store.get().cutout;
  assert.deepEqual([seen.wipe, seen.side, seen.over, seen.rgba.url, store.get().tool], [0.3, 'both', 'checker', '/rgba.png', 'pan']);
  matte.setOver('alpha');
  matte.setBackground('#112233');
  store.set({ index: 31, frameId: 'a-000031' });
  await rest();
  assert.deepEqual([store.get().cutout.frameId, store.get().cutout.over, store.get().cutout.colour, now().previewing], ['a-000031', 'alpha', '#112233', false]);
  assert.ok(log.some(([what]) => what === 'closed'));
  matte.close();
  assert.deepEqual([store.get().cutout, store.get().tool, now()], [null, 'point-plus', null]);
});

test('a preview that is refused says why and leaves nothing on the picture', async () => {
  const { matte, store, now } = scene({ refuse: { 'matte-preview': new Error('“swan” has no region on this frame.') } });
  await matte.open();
  await matte.preview();
  assert.deepEqual([now().problem.text, store.get().cutout, now().previewing], ['“swan” has no region on this frame.', null, false]);
});

test('a job goes on while the panel is closed, and is there again when it opens', async () => {
  const { matte, now, answers, log } = scene();
  await matte.open();
  await matte.start();
  matte.close();
  assert.equal(now(), null);
  await matte.open();
  assert.equal(now().phase, 'running');
  matte.close();
  Object.assign(answers, { state: 'done', result: { files: [] } });
  await matte.follow();
  assert.deepEqual(log.at(-1), ['say', 'The matte is ready.']);
});

test('a matte that runs already is shown when the page opens anew', async () => {
  const { matte, now } = scene({ jobs: [{ id: 'j', kind: 'matte', asset_id: 'other', state: 'running' }, { id: 'k', kind: 'matte', asset_id: 'a', state: 'paused' }] });
  await matte.open();
  assert.deepEqual([now().phase, now().job.id], ['running', 'k']);
});

test('what failed or was cancelled can be gone on with; what is finished is kept', async () => {
  const { matte, now, answers } = scene({ state: 'failed' });
  await matte.open();
  await matte.start();
  assert.deepEqual([now().phase, now().problem.text, now().problem.retry], ['setup', 'The disk is full.', true]);
  answers.state = 'running';
  await matte.again();
  assert.equal(now().phase, 'running');
  answers.state = 'cancelled';
  await matte.follow();
  assert.deepEqual([now().phase, now().problem.hint], ['setup', true]);
  answers.result = { files: [{ name: 'x', bytes: 2 }] };
  await matte.again();
  await matte.follow();
  assert.equal(now().phase, 'done');
});

test('the target goes with the selection and stays when nothing is selected', async () => {
  const { matte, store, now } = scene();
  await matte.open();
  assert.deepEqual(now().choice.subject, LONE);
  store.set({ selected: null });
  assert.deepEqual(now().choice.subject, LONE);
  store.set({ regions: [{ id: 'r1', class_id: 1, track_id: 't1' }], selected: 'r1', index: 31 });
  assert.deepEqual(now().choice.subject, T1);
});

test('words are refused with the reason of the engine that would understand them, else the text tool looks for them', async () => {
  const { matte, store, log } = scene();
  await matte.open();
  assert.equal(matte.findText('swan'), 'classic does not understand text; choose sam3 in the engine menu. sam3: No weights are there.');
  store.set({ engines: [{ id: 'classic', can: ['points', 'track'], available: true }, { id: 'sam3', can: ['text'], available: true }] });
  assert.equal(matte.findText('swan'), '');
  assert.deepEqual(log.at(-1), ['text', 'swan']);
});
