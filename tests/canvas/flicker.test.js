import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMIT_AT, TILE, barsIn, heightOf, isMeasured, overIn, staleOf, stepOf, subjectOf, tilesOf, touch, wholeStep, worstIn } from '../../static/workspace/flicker.js';
import { createCurves } from '../../static/workspace/flicker_curves.js';
import { lengthOf } from '../../static/workspace/runs.js';

const LIMIT = 0.17;
const curve = (warped, patch = {}) => ({
  start: 0, stop: warped.length - 1, step: 1, limit: LIMIT, warped, raw: warped.map((v) => v && v + 0.1), area: warped.map((v) => (v === null ? null : 9)),
  stale: [], cuts: [], at: warped.map((v, i) => (v === null ? null : i)), worst: warped.map(() => 4), ...patch,
});
const bars = (found, view, patch = {}) => barsIn(() => found, view, { step: stepOf(view.cell), series: 'warped', touched: [], whole: found, ...patch });

test('100,000 frames take a few answers at any zoom, and the same ones while somebody scrolls a little', () => {
  const total = 100_000;
  for (const cell of [0.012, 0.05, 0.3, 1.7, 3, 22, 120]) {
    const step = stepOf(cell);
    assert.ok(step * cell >= 3 && (step === 1 || step * cell < 6), `${cell}`);
    const view = { scroll: Math.min(total * cell * 0.4, total * cell - 1200), width: 1200, cell, total };
    const tiles = tilesOf(view, step);
    assert.ok(tiles.length >= 1 && tiles.length <= 3, `${cell}: ${tiles.length}`);
    assert.ok(tilesOf({ ...view, scroll: view.scroll + 3 * cell }, step).filter((tile) => !tiles.includes(tile)).length <= 1);
    assert.ok(tiles.at(-1) * TILE * step < total);
  }
  assert.ok(wholeStep(total) * TILE >= total && wholeStep(total) * TILE < 2 * total);
  assert.deepEqual([wholeStep(1), wholeStep(512), wholeStep(513)], [1, 1, 2]);
});

test('a bar of several frames has the worst of them and leads to it, also where the answers are coarser', () => {
  const fine = curve([null, 0.1, 0.3, 0.05, 0.2, null]);
  assert.deepEqual(worstIn(fine, 0, 6, 'warped'), { value: 0.3, at: 2, worst: 4 });
  assert.deepEqual(worstIn(fine, 3, 6, 'warped'), { value: 0.2, at: 4, worst: 4 });
  assert.equal(worstIn(fine, 5, 6, 'warped'), null);
  const coarse = curve([0.3, 0.2], { step: 3, at: [2, 4] });
  assert.deepEqual(worstIn(coarse, 4, 5, 'warped'), { value: 0.2, at: 4, worst: 4 });
});

test('above the limit, changed since, cut and not measured are told apart', () => {
  const found = curve([null, 0.1, 0.3, null, 0.17, null], { area: [9, 9, 9, 9, 9, null], cuts: [3], stale: [[4, 2]] });
  const view = { scroll: 0, width: 600, cell: 100, total: 6 };
  const shown = bars(found, view, { touched: [[1, 1]] });
  assert.deepEqual(shown.map((bar) => bar.over), [false, false, true, false, false, false]);
  assert.deepEqual(shown.map((bar) => bar.stale), [false, true, false, false, true, false]);
  assert.deepEqual(shown.map((bar) => bar.known), [true, true, true, true, true, false]);
  assert.deepEqual(shown.map((bar) => bar.cut), [false, false, false, true, false, false]);
  // Motion is no flicker: there is no limit for what still has it.
  assert.ok(bars(found, view, { series: 'raw' }).every((bar) => !bar.over));
  assert.ok(bars(null, view, { whole: null }).every((bar) => bar.value === null && !bar.known));
});

test('the limit is always at the same height, and what is above it rises above it and stays in the row', () => {
  assert.equal(heightOf(LIMIT, LIMIT), LIMIT_AT);
  let before = 0;
  for (let value = 0; value <= 1; value += 0.01) {
    const height = heightOf(value, LIMIT);
    assert.ok(height >= before && height <= 1 && (value <= LIMIT) === (height <= LIMIT_AT), `${value}`);
    before = height;
  }
  assert.equal(heightOf(1, LIMIT), 1);
});

test('a change makes its frame and the next one old, once', () => {
  let touched = [];
  for (const index of [4, 4, 5, 9, 5]) touched = touch(touched, index, 10);
  assert.deepEqual(touched, [[4, 3], [9, 1]]);
  assert.equal(touch(touched, 4, 10), touched);
  const whole = curve([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], { stale: [[6, 2]] });
  assert.equal(lengthOf(staleOf(whole, touched)), 5);
  assert.deepEqual([isMeasured(whole), isMeasured(curve([null, null]))], [true, false]);
});

test('frames above the limit are those that the answers name', () => {
  assert.deepEqual(overIn([curve([0.1, 0.2, null, 0.18]), curve([0.5, 0.1], { start: 3, step: 2, at: [4, 5] })]), [1, 3, 4]);
});

test('the row follows what is selected, the current class, or is about everything', () => {
  const state = { classId: 2, selected: 'r', regions: [{ id: 'r', class_id: 5, track_id: 't' }, { id: 's', class_id: 6, track_id: null }] };
  assert.deepEqual(subjectOf('all', state), { classId: 0, trackId: '' });
  assert.deepEqual(subjectOf('class', state), { classId: 2, trackId: '' });
  assert.deepEqual(subjectOf('selected', state), { classId: 5, trackId: 't' });
  assert.deepEqual(subjectOf('selected', { ...state, selected: 's' }), { classId: 6, trackId: '' });
  assert.deepEqual(subjectOf('selected', { ...state, selected: null }), { classId: 0, trackId: '' });
});

/** Answers that the test gives one by one. */
function asked() {
  const open = [];
  let clock = 0;
  const failed = [];
  const curves = createCurves({
    load: ({ key }) => new Promise((resolve, reject) => open.push({ key, resolve, reject })),
    on: { came() {}, failed: (error) => failed.push(error) }, now: () => clock,
  });
  const settle = () => new Promise((resolve) => { setImmediate(resolve); });
  return { open, curves, failed, settle, wait: (ms) => { clock += ms; } };
}
const keys = (...names) => names.map((key) => ({ key }));

test('answers are asked for one at a time, once, and only as long as they are wished for', async () => {
  const { open, curves, settle } = asked();
  curves.want(keys('a', 'b', 'c'));
  curves.want(keys('a', 'b', 'c'));
  assert.deepEqual(open.map(({ key }) => key), ['a']);
  curves.want(keys('z', 'a'));
  open[0].resolve('A');
  await settle();
  assert.deepEqual(open.map(({ key }) => key), ['a', 'z']);
  assert.deepEqual([curves.get('a'), curves.get('z')], ['A', null]);
  open[1].resolve('Z');
  await settle();
  curves.want(keys('z', 'a'));
  assert.equal(open.length, 2);
});

test('what was dropped is shown until it came again, and what was asked before that counts as old', async () => {
  const { open, curves, settle } = asked();
  curves.want(keys('a'));
  curves.drop();
  open[0].resolve('old');
  await settle();
  assert.equal(curves.get('a'), 'old');
  assert.equal(open.length, 2);
  open[1].resolve('new');
  await settle();
  assert.equal(curves.get('a'), 'new');
  assert.equal(open.length, 2);
});

test('after a failure nothing is asked for a while', async () => {
  const { open, curves, failed, settle, wait } = asked();
  curves.want(keys('a', 'b'));
  open[0].reject(new Error('down'));
  await settle();
  curves.want(keys('a', 'b'));
  assert.deepEqual([open.length, failed.length], [1, 1]);
  wait(6000);
  curves.want(keys('a', 'b'));
  assert.equal(open.length, 2);
});
