import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { instanceAt, instanceGeometry, keptOf, limitBy, tint, toggled } from '../../static/canvas/instances.js';
import { emptyMap } from '../../static/canvas/labelmap.js';
import { createPrompts } from '../../static/canvas/prompts.js';
import { createStore, initialState } from '../../static/canvas/store.js';

/** A candidate whose mask is the whole box [x, y, w, h]. */
function candidate(id, score, [x, y, w, h]) {
  return { id, score, area: w * h, mask: { x, y, w, h, bits: new Uint8Array(w * h).fill(1) }, loops: [] };
}
const FOUND = [candidate('big', 0.9, [0, 0, 20, 10]), candidate('small', 0.6, [4, 4, 3, 3]), candidate('weak', 0.4, [30, 0, 5, 5])];
const proposal = () => ({ kind: 'instances', candidates: FOUND, picks: {}, at: 0 });
const ids = (candidates) => candidates.map((one) => one.id);

const open = [];
// What was asked and not answered waits for minutes: taking it back ends that.
afterEach(() => open.splice(0).forEach((prompts) => prompts.reject({ silent: true })));

test('the score limit decides what is kept, but for what a click said', () => {
  assert.deepEqual(ids(keptOf(proposal(), 0.5)), ['big', 'small']);
  assert.deepEqual(ids(keptOf(proposal(), 0)), ['big', 'small', 'weak']);
  const picked = toggled(toggled(proposal(), 2, 0.5), 0, 0.5);
  assert.deepEqual(ids(keptOf(picked, 0.5)), ['small', 'weak']);
  assert.deepEqual(ids(keptOf(picked, 0.95)), ['weak']);
  assert.deepEqual(ids(keptOf(toggled(picked, 2, 0.5), 0)), ['small']);
});

test('the smallest instance under the pointer is meant; beside all of them there is none', () => {
  assert.equal(instanceAt(proposal(), { x: 5.5, y: 5.5 }), 1);
  assert.equal(instanceAt(proposal(), { x: 1, y: 1 }), 0);
  assert.equal(instanceAt(proposal(), { x: 25, y: 1 }), -1);
});

test('the limit moves in steps and stays in its range', () => {
  assert.equal(limitBy(0.5, 1), 0.55);
  assert.equal(limitBy(0.95, 1), 0.95);
  assert.equal(limitBy(0.1, -3), 0);
});

test('neighbouring instances of one class have different tints, the first that of the class', () => {
  assert.equal(tint('#204060', 0), '#204060');
  assert.equal(new Set([0, 1, 2, 3, 4].map((index) => tint('#204060', index))).size, 5);
});

test('an instance is sent as its box and the text that found it', () => {
  assert.deepEqual(instanceGeometry(FOUND[1], 'cup'), { points: [], box: [4, 4, 7, 7], text: 'cup', outline: null });
});

const ABLE = { id: 'able', can: ['points', 'box', 'text', 'exemplars'], available: true };
const CLICKS = { id: 'clicks', can: ['points', 'box'], available: true };

/** Prompts on a frame of 40 × 20, with what they asked, said and saved. */
function setUp() {
  const store = createStore({
    ...initialState({ classes: [{ id: 1, name: 'cup', colour: '#204060', priority: 1 }], project: { engine: 'able' }, engines: [ABLE, CLICKS], asset: { frame_count: 1 } }),
    frameId: 'f', width: 40, height: 20,
  });
  const asked = [];
  const said = [];
  const saved = [];
  const transport = { prompt: (message) => asked.push(message), cancel: () => {} };
  const t = (key) => key;
  t.n = t;
  const prompts = createPrompts({ store, transport, frames: { currentMap: () => store.get().map ?? emptyMap(40, 20) }, emit: () => {}, say: (text) => said.push(text), announce: () => {}, t },
    { nameOf: () => 'cup', pointsWord: () => '', find: () => null, lockedReason: () => '', refuse: (key) => said.push(key) },
    { addAll: (frame, made, undone) => saved.push({ made, undone }), add: (region, extra) => saved.push({ region, extra }) });
  open.push(prompts);
  const answer = (more = {}) => prompts.onProposal({ request: asked.length, frame: 'f', engine: store.get().engine, kind: 'instances', presence: 0.9, candidates: FOUND, ...more });
  return { store, prompts, asked, said, saved, answer, last: () => asked.at(-1) };
}

test('exemplars accumulate with the text, each change asks with all of them, Backspace takes one away and Escape all', () => {
  const { prompts, store, asked, last } = setUp();
  prompts.askText('cup');
  assert.deepEqual([last().geometry.text, last().exemplars, last().previous], ['cup', [], null]);
  prompts.addExemplar({ box: [0, 0, 5, 5], positive: true });
  prompts.addExemplar({ box: [6, 6, 9, 9], positive: false });
  assert.deepEqual([last().geometry.text, last().exemplars.map((one) => one.positive)], ['cup', [true, false]]);
  prompts.takeBack();
  assert.equal(last().exemplars.length, 1);
  assert.equal(asked.length, 4);
  prompts.reject();
  assert.equal(store.get().prompt, null);
  prompts.addExemplar({ box: [0, 0, 5, 5], positive: true });
  assert.deepEqual([last().geometry.text, last().exemplars.length], [null, 1]);
  prompts.takeBack();
  assert.equal(store.get().prompt, null);
});

test('an example of what is not meant asks nothing by itself', () => {
  const { prompts, asked, said } = setUp();
  prompts.addExemplar({ box: [0, 0, 5, 5], positive: false });
  assert.deepEqual([asked.length, said], [0, ['refuse.no_exemplar']]);
});

test('kept instances are accepted in one change, each a region with its own proposal, and painted at once', () => {
  const { prompts, store, saved, answer } = setUp();
  prompts.askText('cup');
  answer();
  prompts.toggleAt({ x: 31, y: 1 });
  prompts.toggleAt({ x: 5, y: 5 });
  prompts.accept();
  const [{ made }] = saved;
  assert.deepEqual(made.map((one) => [one.proposal, one.engine, one.region.geometry.box]), [['big', 'able', [0, 0, 20, 10]], ['weak', 'able', [30, 0, 35, 5]]]);
  const { regions, map, prompt } = store.get();
  assert.deepEqual([regions.length, prompt], [2, null]);
  assert.deepEqual([map.ids[0], map.ids[31], map.ids[25]], [1, 2, 0]);
});

test('with nothing kept nothing is accepted, and a refused change gives the prompt back', () => {
  const { prompts, store, said, saved, answer, last } = setUp();
  prompts.askText('cup');
  answer();
  prompts.setLimit(0.95);
  prompts.accept();
  assert.deepEqual([saved.length, said.at(-1)], [0, 'refuse.none_kept']);
  prompts.setLimit(0.5);
  prompts.accept();
  saved[0].undone();
  assert.deepEqual([store.get().prompt.text, last().geometry.text], ['cup', 'cup']);
});

test('a point while found things wait takes one in or out, or is refused: it never throws them away', () => {
  const { prompts, store, said, asked, answer } = setUp();
  prompts.askText('cup');
  answer();
  prompts.addPoint({ at: { x: 5, y: 5 }, label: 1, r: 0 });
  assert.deepEqual(store.get().proposal.picks, { small: false });
  prompts.addPoint({ at: { x: 38, y: 18 }, label: 1, r: 0 });
  prompts.setBox({ box: [0, 0, 4, 4] });
  assert.deepEqual([said.at(-1), asked.length], ['refuse.found_waits', 1]);
});

test('what is not in the frame is said with its presence, and a point then begins anew', () => {
  const { prompts, said, answer, last } = setUp();
  prompts.askText('cup');
  answer({ candidates: [], presence: 0.12 });
  assert.equal(said.at(-1), 'refuse.not_present');
  prompts.addPoint({ at: { x: 5, y: 5 }, label: 1, r: 0 });
  assert.deepEqual([last().geometry.text, last().geometry.points.length], [null, 1]);
});

test('another engine is asked with the same points and not told to correct the mask of the first', () => {
  const { prompts, store, answer, last, said } = setUp();
  prompts.addPoint({ at: { x: 5, y: 5 }, label: 1, r: 0 });
  answer({ kind: 'alternatives' });
  prompts.addPoint({ at: { x: 6, y: 5 }, label: 1, r: 0 });
  assert.deepEqual([last().engine, last().previous], ['able', 'big']);
  answer({ kind: 'alternatives' });
  store.set({ engine: 'clicks' });
  prompts.askAnew();
  assert.deepEqual([last().engine, last().previous, last().geometry.points.length], ['clicks', null, 2]);
  prompts.reject();
  store.set({ engine: 'able' });
  prompts.askText('cup');
  answer();
  store.set({ engine: 'clicks' });
  prompts.askAnew();
  assert.deepEqual([store.get().proposal, said.at(-1), store.get().prompt.text], [null, 'refuse.lacks_text', 'cup']);
});
