import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neighboursOf } from '../../static/canvas/onion.js';
import { doubtOf } from '../../static/canvas/paint/flags.js';
import { createStore } from '../../static/canvas/store.js';
import { MOST_REGIONS, anchorsAround, createTracks, lostAt, subjectsOf, walkOf } from '../../static/canvas/tracks.js';

const CAR = { id: 'car 3', name: 'car 3', regions: [[0, 21], [30, 10]], anchors: [4, 20, 35], lost: [[21, 9], [38, 2]], flagged: [] };
const LANES = { classes: [{ class_id: 5, tracks: [CAR] }, { class_id: 6, tracks: [] }] };
const region = (id, class_id = 5, track_id = 'car 3', anchor = true) => ({ id, class_id, track_id, anchor });
const at = (index, patch = {}) => ({ index, total: 60, range: null, lanes: LANES, ...patch });
const walk = (state, direction, far = 'end', frames = 0) => walkOf(state, { direction, far, frames }, [region('a')]);

test('a walk goes to the end, some frames, or over the selected range, and not off the asset', () => {
  const span = (...args) => {
    const { start, stop, frames, wrong } = walk(...args);
    return wrong ?? [start, stop, frames];
  };
  assert.deepEqual(span(at(5), 'forward'), [5, 59, 54]);
  assert.deepEqual(span(at(5), 'both'), [0, 59, 59]);
  assert.deepEqual(span(at(5), 'backward', 'some', 10), [0, 5, 5]);
  assert.deepEqual(span(at(55), 'both', 'some', 10), [45, 59, 14]);
  assert.deepEqual(span(at(20, { range: { start: 12, stop: 51 } }), 'both', 'range'), [12, 51, 39]);
  assert.equal(span(at(5, { range: { start: 12, stop: 51 } }), 'forward', 'range'), 'track.outside');
  assert.equal(span(at(59), 'forward'), 'track.no_room');
});

test('between anchors it ends at the nearest on each side; regions without one are left out', () => {
  assert.deepEqual(anchorsAround(LANES, 'car 3', 20), { before: 4, behind: 35 });
  assert.deepEqual(anchorsAround(LANES, 'car 3', 2), { before: null, behind: 4 });
  assert.equal(walk(at(20), 'between').frames, 15 + 14);
  assert.equal(walk(at(40), 'between').frames, 4);
  const tracked = (index) => walkOf(at(index), { direction: 'between' }, [region('a', 5, 'car 3', false)]);
  assert.equal(tracked(10).frames, 15);
  // One anchor only, and the region is none itself.
  assert.equal(tracked(40).wrong, 'track.no_anchor');
  assert.equal(walk(at(21, { lanes: { classes: [] } }), 'between').wrong, 'track.no_anchor');
  const two = walkOf(at(10), { direction: 'between' }, [region('a'), region('b', 6, null)]);
  assert.deepEqual(two.regions.map((one) => one.id), ['a']);
  // Before the lanes have come, the server decides.
  assert.equal(walk(at(10, { lanes: null }), 'between').frames, null);
});

test('nothing, and more than one job takes, is refused before it is asked', () => {
  const many = Array.from({ length: MOST_REGIONS + 1 }, (_, i) => region(String(i)));
  assert.equal(walkOf(at(5), { direction: 'forward', far: 'end' }, []).wrong, 'track.no_region');
  assert.equal(walkOf(at(5), { direction: 'forward', far: 'end' }, many).wrong, 'track.too_many');
});

test('the class of the selected region goes before the chosen one, and what is locked stays out', () => {
  const state = { regions: [region('a', 5), region('b', 6), region('c', 5)], selected: 'a', classId: 6, locked: {} };
  const ids = (patch, what) => subjectsOf({ ...state, ...patch }, what).map((one) => one.id);
  assert.deepEqual(['selected', 'class', 'frame'].map((what) => ids({}, what)), [['a'], ['a', 'c'], ['a', 'b', 'c']]);
  assert.deepEqual(['selected', 'class', 'frame'].map((what) => ids({ selected: null }, what)), [[], ['b'], ['a', 'b', 'c']]);
  assert.deepEqual(['selected', 'class', 'frame'].map((what) => ids({ locked: { 5: true } }, what)), [[], [], ['b']]);
});

test('a track is lost on a frame where it was looked for and has no region', () => {
  assert.deepEqual(lostAt(LANES, 25), [{ id: 'car 3', name: 'car 3', class_id: 5, first: 21 }]);
  assert.deepEqual([20, 38, 50].map((index) => lostAt(LANES, index)), [[], [], []]);
  assert.deepEqual(lostAt(null, 25), []);
});

test('the onion skin asks for the neighbours that exist', () => {
  assert.deepEqual(neighboursOf({ onion: 'both', index: 0, total: 3 }), [['next', 1]]);
  assert.deepEqual(neighboursOf({ onion: 'both', index: 1, total: 3 }), [['previous', 0], ['next', 2]]);
  assert.deepEqual(neighboursOf({ onion: 'off', index: 1, total: 3 }), []);
});

test('a refused track says why; a begun one is asked for once, with its range', async () => {
  const asked = [];
  let refuse = null;
  const transport = {
    change: async (build) => {
      asked.push(build().body);
      if (refuse) throw refuse;
    },
  };
  const store = createStore({ trackEngine: null });
  const tracks = createTracks({ store, transport, t: (key) => key, announce: () => {}, projectId: 'p', assetId: 'v' });
  assert.equal(await tracks.start({ regions: [region('a')], direction: 'forward', engine: 'classic', start: 4, stop: 9 }), '');
  assert.equal(store.get().trackEngine, 'classic');
  refuse = new Error('Already 8 jobs wait.');
  assert.equal(await tracks.start({ regions: [region('a')], direction: 'between', engine: 'interpolate' }), 'Already 8 jobs wait.');
  const { id, ...body } = asked[0];
  assert.match(id, /^[0-9a-f]{24}$/);
  assert.deepEqual(body, { asset_id: 'v', region_ids: ['a'], direction: 'forward', engine: 'classic', start: 4, stop: 9 });
  assert.equal(store.get().trackEngine, 'classic');
});

test('what nobody confirmed is uncertain where walks disagree, the tracker doubts, or the target is missed', () => {
  const made = (patch) => ({ anchor: false, agreement: null, score: null, certificate: null, ...patch });
  assert.equal(doubtOf(made({ agreement: 0.71, score: 0.9 })), 0.71);
  assert.equal(doubtOf(made({ agreement: 0.85, score: 0.4 })), 0.4);
  assert.equal(doubtOf(made({ score: 0.9, certificate: { iou: 0.92, target: 0.95 } })), 0.92);
  assert.equal(doubtOf(made({ score: 0.9, certificate: { iou: 0.95, target: 0.95 } })), null);
  assert.equal(doubtOf(made({ anchor: true, agreement: 0.1 })), null);
});
