import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anchorsOf, eventsOf, gapsOf, nearestIn, nextInRuns, nextMark, todoOf } from '../../static/workspace/jumps.js';
import { anchorNear, anchorRuns, factAt, opensItself, regionOfRow, rowOfRegion, rowsInView, rowsOf, unlisted } from '../../static/workspace/lanes.js';
import { between, lengthOfRange, marked, withEdge } from '../../static/workspace/range.js';
import { clockOf, rulerMarks, spaced } from '../../static/workspace/ruler.js';
import { cellOf, niceStep, runsWithin, scrollTo, timecode, union, valueAt, visibleRuns, windowOf, withValue, without, zoomOf } from '../../static/workspace/runs.js';

const RUNS = [[0, 10, 'approved'], [10, 5, 'done'], [20, 80, 'todo']];

test('the value of a frame is that of its run, and a gap has none', () => {
  assert.deepEqual([0, 9, 10, 14, 15, 20, 99, 100].map((i) => valueAt(RUNS, i)), ['approved', 'approved', 'done', 'done', null, 'todo', 'todo', null]);
  assert.equal(valueAt([[3, 2]], 4), true);
});

test('only runs in the window are drawn, cut to it', () => {
  assert.deepEqual(runsWithin(RUNS, 8, 22), [[8, 2, 'approved'], [10, 5, 'done'], [20, 2, 'todo']]);
});

test('setting a frame splits its run, joins equal neighbours, and agrees with a plain array', () => {
  assert.deepEqual(withValue([[0, 3, 'todo']], 1, 'done'), [[0, 1, 'todo'], [1, 1, 'done'], [2, 1, 'todo']]);
  assert.deepEqual(withValue([[0, 1, 'done'], [1, 1, 'todo'], [2, 1, 'done']], 1, 'done'), [[0, 3, 'done']]);
  const plain = Array(30).fill(null);
  let runs = [];
  for (let k = 0; k < 200; k++) {
    const index = (k * 7) % 30;
    const value = k % 3 ? `v${k % 2}` : null;
    plain[index] = value;
    runs = withValue(runs, index, value);
    assert.deepEqual(plain.map((_, i) => valueAt(runs, i)), plain);
  }
});

test('next to do looks ahead, then from the start, and frames without a run are to do', () => {
  const next = (states, index, total) => nextInRuns(todoOf(states, total), index, 1);
  assert.equal(next(RUNS, 0, 100), 15);
  assert.equal(next(RUNS, 15, 100), 16);
  assert.equal(next([[0, 100, 'done']], 3, 100), -1);
  assert.equal(next([[5, 95, 'done']], 50, 100), 0);
});

test('a jump agrees with looking at every frame, both ways, and comes round from the other end', () => {
  const runs = [[3, 2], [9, 1], [12, 4]];
  for (let index = 0; index < 20; index++) {
    for (const step of [1, -1]) {
      let at = index;
      do at = (at + step + 20) % 20; while (!valueAt(runs, at) && at !== index);
      assert.equal(nextInRuns(runs, index, step), at === index ? -1 : at, `${index} ${step}`);
    }
  }
  assert.equal(nextInRuns([], 3, 1), -1);
  assert.equal(nextInRuns([[3, 1]], 3, 1), -1);
  assert.deepEqual([nextMark([2, 7], 2, 1), nextMark([2, 7], 2, -1), nextMark([2], 2, 1)], [7, 7, -1]);
});

test('gaps, sums and differences of runs agree with plain arrays', () => {
  const plain = (runs) => [...Array(24)].map((_, i) => valueAt(runs, i) === true);
  const a = [[1, 4], [8, 3], [15, 5]];
  const b = [[0, 2], [4, 6], [16, 2], [22, 2]];
  assert.deepEqual(plain(gapsOf(a, 24)), plain(a).map((v) => !v));
  assert.deepEqual(plain(union([a, b])), plain(a).map((v, i) => v || plain(b)[i]));
  assert.deepEqual(plain(without(a, b)), plain(a).map((v, i) => v && !plain(b)[i]));
  assert.deepEqual([nearestIn(a, 0), nearestIn(a, 6), nearestIn(a, 9), nearestIn(a, 23), nearestIn([], 3)], [1, 8, 9, 19, -1]);
});

test('100,000 frames need a handful of thumbs and marks at any zoom', () => {
  const total = 100_000;
  for (const zoom of [0, 0.25, 0.5, 0.75, 1]) {
    const cell = cellOf(zoom, 1200, total);
    const span = windowOf({ scroll: Math.max(0, total * cell * 0.4), width: 1200, cell, total });
    assert.ok((span.to - span.from) / span.every <= 22, `zoom ${zoom}`);
    assert.ok(span.every * cell >= 60);
    const marks = rulerMarks({ ...span, cell, total, fps: 25 }, (text) => text.length * 6.2);
    assert.ok(marks.ticks.length <= 140 && marks.labels.length >= 2 && marks.labels.length <= 14, `zoom ${zoom}`);
    assert.ok(Math.abs(zoomOf(cell, 1200, total) - zoom) < 1e-9);
  }
});

test('steps are 1, 2 or 5 times a power of ten', () => {
  assert.deepEqual([[60, 30], [22, 60], [1, 60], [0.1, 60]].map(([cell, least]) => niceStep(cell, least)), [1, 5, 100, 1000]);
});

test('the playhead is brought into view and no further', () => {
  const view = { scroll: 0, width: 500, cell: 20, total: 1000 };
  assert.equal(scrollTo(view, 5), 0);
  const scroll = scrollTo(view, 400);
  assert.ok(scroll > 400 * 20 - 500 && scroll < 400 * 20);
  assert.equal(scrollTo({ ...view, scroll }, 398), scroll);
  assert.equal(scrollTo(view, 999), 1000 * 20 - 500);
});

test('times read as minutes, seconds and thousandths', () => {
  assert.deepEqual([2.6667, 61.5, 0, Number.NaN].map(timecode), ['0:02.667', '1:01.500', '0:00.000', '']);
});

test('a page is turned while playing', () => {
  const view = { scroll: 0, width: 500, cell: 20, total: 1000 };
  assert.equal(scrollTo(view, 24, { page: true }), 0);
  assert.equal(scrollTo(view, 25, { page: true }), 25 * 20 - 50);
});

test('ruler numbers never overlap the times beside them', () => {
  const measure = (text) => text.length * 6.2;
  for (const cell of [0.0093, 0.1, 0.7, 3, 22, 120]) {
    for (const fps of [25, null]) {
      const { labels, step } = rulerMarks({ from: 0, to: Math.ceil(1200 / cell), cell, total: 200_000, fps }, measure);
      for (const { frame, time } of labels) assert.ok(measure(frame) + (time ? 6 + measure(time) : 0) + 4 <= step * cell, `${cell} ${frame} ${time}`);
    }
  }
  assert.deepEqual([clockOf(3725), clockOf(65), clockOf(2.5, 0.1), clockOf(0.04, 0.04)], ['1:02:05', '1:05', '0:02.5', '0:00.04']);
  assert.equal(spaced(1234567), '1\u202f234\u202f567');
});

const track = (id, patch = {}) => ({ id, name: id, regions: [[0, 10]], anchors: [], lost: [], flagged: [], ...patch });
const lane = (class_id, patch = {}) => ({ class_id, regions: [[0, 30]], tracks: [], loose: [], loose_anchors: [], loose_flagged: [], more: 0, ...patch });
const CLASSES = new Map([[2, { name: 'car', colour: '#112233' }], [1, { name: 'road', colour: '#445566' }]]);
const WORDS = { unknown: (id) => `class ${id}`, loose: 'without a track', nameless: (n) => `track ${n}` };
const LANES = { classes: [
  lane(1, { loose: [[0, 30]] }),
  lane(2, { more: 3, loose: [[20, 2]], loose_anchors: [20], tracks: [
    track('a', { anchors: [0, 9], lost: [[12, 4]], flagged: [[3, 2]] }), track('b', { anchors: [5], regions: [[5, 10]], name: '' })] }),
  lane(9),
] };
const rows = (open) => rowsOf(LANES, CLASSES, () => open, WORDS);

test('classes come as in the panel, with a closed one showing the sum of its tracks', () => {
  assert.deepEqual(rows(false).map((row) => [row.name, row.open]), [['car', false], ['road', null], ['class 9', null]]);
  const [car] = rows(false);
  assert.deepEqual([car.anchors, car.flagged, car.lost, car.tracks], [[0, 5, 9, 20], [[3, 2]], [], 5]);
  assert.equal(unlisted(LANES), 3);
  assert.deepEqual(LANES.classes.map(opensItself), [false, true, false]);
});

test('an open class has a row for each track and one for regions without a track', () => {
  const found = rows(true);
  assert.deepEqual(found.map((row) => [row.level, row.name, row.position, row.size]).slice(0, 5),
    [[1, 'car', 1, 3], [2, 'a', 1, 3], [2, 'track 2', 2, 3], [2, 'without a track', 3, 3], [1, 'road', 2, 3]]);
  assert.deepEqual([found[0].anchors, found[0].sum], [[], true]);
  assert.deepEqual([0, 3, 8, 13, 17].map((i) => factAt(found[1], i)), ['anchor', 'flagged', 'region', 'lost', 'none']);
  assert.deepEqual(eventsOf(found[1]), [0, 3, 4, 9, 12, 15]);
});

test('a row finds its region and a region its row, open or closed', () => {
  const region = { id: 'r', class_id: 2, track_id: 'b' };
  const loose = { id: 's', class_id: 2, track_id: null };
  assert.deepEqual([rowOfRegion(rows(true), region), rowOfRegion(rows(true), loose), rowOfRegion(rows(false), region)], [2, 3, 0]);
  assert.equal(rowOfRegion(rows(true), { class_id: 7, track_id: null }), -1);
  assert.equal(regionOfRow(rows(true)[2], [loose, region]), region);
  assert.equal(regionOfRow(rows(true)[1], [loose, region]), null);
  assert.equal(regionOfRow(rows(false)[0], [region]), region);
});

test('anchors of the selected track alone, or of all', () => {
  assert.deepEqual([anchorsOf(LANES, 'a'), anchorsOf(LANES), anchorsOf(null)], [[0, 9], [0, 5, 9, 20], []]);
});

test('what cannot be told apart on the screen is drawn as one, and next to nothing is lost of it', () => {
  const every = Array.from({ length: 50_000 }, (_, i) => [2 * i, 1]);
  assert.equal(visibleRuns(every, 22), every);
  assert.ok(visibleRuns(every, 0.01).length < 100);
  assert.equal(visibleRuns(every, 0.01), visibleRuns(every, 0.011));
  const row = { anchors: Array.from({ length: 50_000 }, (_, i) => 2 * i) };
  assert.deepEqual(anchorRuns(row, 0.01), [[0, 99_999]]);
  assert.equal(anchorRuns(row, 22).length, 50_000);
});

test('a diamond is found near the pointer, not far from it', () => {
  const row = { anchors: [10, 40, 43] };
  assert.deepEqual([anchorNear(row, 12, 3), anchorNear(row, 20, 3), anchorNear(row, 42.2, 5), anchorNear(row, 0, 3)], [10, -1, 43, -1]);
});

test('500 rows need as many nodes as fit the window', () => {
  for (const top of [0, 3000, 9950]) {
    const { first, last } = rowsInView({ top, height: 120, count: 500 });
    assert.ok(last - first <= 15 && first * 20 <= top && last <= 500);
  }
});

test('a range is made by any two frames, marked at its ends, and its edges never pass each other', () => {
  assert.deepEqual(between(40, 12, 100), { start: 12, stop: 40 });
  assert.deepEqual(between(-5, 400, 100), { start: 0, stop: 99 });
  assert.deepEqual(marked(null, 'start', 30, 100), { start: 30, stop: 99 });
  assert.deepEqual(marked({ start: 30, stop: 50 }, 'stop', 60, 100), { start: 30, stop: 60 });
  assert.deepEqual(marked({ start: 30, stop: 50 }, 'start', 60, 100), { start: 60, stop: 99 });
  assert.deepEqual(withEdge({ start: 30, stop: 50 }, 'start', 70, 100), { start: 50, stop: 50 });
  assert.deepEqual(withEdge({ start: 30, stop: 50 }, 'stop', 400, 100), { start: 30, stop: 99 });
  assert.equal(lengthOfRange({ start: 3, stop: 3 }), 1);
});

test('answers that come slowly are shown though it was asked again meanwhile, and never an older one after a newer', async () => {
  const page = new EventTarget();
  page.body = new EventTarget();
  globalThis.document = page;
  const { createFacts } = await import('../../static/workspace/facts.js');
  const answers = [];
  const state = [];
  const facts = createFacts({
    asset: { id: 'a', frame_count: 3 }, store: { set: (patch) => state.push(patch.lanes) }, say: assert.fail, on: { loaded() {}, changed() {} },
    transport: { timeline: async () => ({ total: 3, fps: 1, states: [], regions: [] }), lanes: () => new Promise((resolve) => answers.push(resolve)) },
  });
  const loads = [facts.load(), facts.load(), facts.load()];
  answers[0]('first');
  await loads[0];
  answers[2]('third');
  await loads[2];
  answers[1]('second');
  await loads[1];
  assert.deepEqual(state, ['first', 'third']);
  delete globalThis.document;
});
