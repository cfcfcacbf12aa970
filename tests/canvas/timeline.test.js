import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellOf, nextTodo, niceStep, runsWithin, scrollTo, timecode, valueAt, windowOf, withValue, zoomOf } from '../../static/workspace/runs.js';

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
  assert.equal(nextTodo(RUNS, 0, 100), 15);
  assert.equal(nextTodo(RUNS, 15, 100), 16);
  assert.equal(nextTodo([[0, 100, 'done']], 3, 100), -1);
  assert.equal(nextTodo([[5, 95, 'done']], 50, 100), 0);
});

test('100,000 frames need a handful of thumbs and marks at any zoom', () => {
  const total = 100_000;
  for (const zoom of [0, 0.25, 0.5, 0.75, 1]) {
    const cell = cellOf(zoom, 1200, total);
    const span = windowOf({ scroll: Math.max(0, total * cell * 0.4), width: 1200, cell, total });
    assert.ok((span.to - span.from) / span.every <= 22, `zoom ${zoom}`);
    assert.ok(span.every * cell >= 60);
    assert.ok((span.to - span.from) / span.tick <= 140);
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
