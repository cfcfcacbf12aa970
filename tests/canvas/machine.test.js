import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMachine } from '../../static/canvas/machine.js';
import { TOOLS } from '../../static/canvas/tools/index.js';

/** A machine on a plain ground: what it sends is collected. */
function setUp(tool, look = {}) {
  const sent = [];
  const machine = createMachine({
    tools: TOOLS,
    send: (intent) => sent.push(intent),
    look: { handleAt: () => null, nodeAt: () => null, edgeAt: () => null, inFrame: () => true, clamp: (at) => at, scale: () => 1, locked: () => '', blocked: () => '', ...look },
  });
  machine.use(tool);
  const at = (x, y, more = {}) => ({ at: { x, y }, screen: { x, y }, alt: false, shift: false, ...more });
  const press = (x, y, more) => machine.handle('down', at(x, y, more));
  const move = (x, y) => machine.handle('move', at(x, y));
  const lift = (x, y) => machine.handle('up', at(x, y));
  return { sent, machine, at, press, move, lift, last: () => sent[sent.length - 1] };
}

test('a click adds a point of the tool, and Alt turns + into −', () => {
  const { press, lift, last } = setUp('point-plus');
  press(5, 6);
  lift(5, 6);
  assert.deepEqual(last(), { kind: 'add_point', at: { x: 5, y: 6 }, label: 1, r: 0 });
  press(5, 6, { alt: true });
  lift(5, 6);
  assert.equal(last().label, 0);
});

test('a drag sets the reach and a tremble does not', () => {
  const { press, move, lift, last, sent } = setUp('point-plus');
  press(10, 10);
  move(11, 11);
  lift(11, 11);
  assert.equal(last().r, 0);
  press(10, 10);
  move(13, 14);
  assert.equal(last().gesture.r, 5);
  lift(16, 18);
  assert.deepEqual(last(), { kind: 'add_point', at: { x: 10, y: 10 }, label: 1, r: 10 });
  assert.equal(sent.at(-2).gesture, null);
});

test('every tool comes back to idle from every state it can reach, without adding anything', () => {
  for (const { id } of TOOLS) {
    const { machine, press, move, sent } = setUp(id, { handleAt: id === 'select' ? () => ({ source: 'region', index: 0, at: { x: 0, y: 0 } }) : () => null });
    press(1, 1);
    move(40, 40);
    machine.cancel();
    assert.equal(machine.state.name, 'idle', id);
    assert.ok(!sent.some((intent) => ['add_point', 'set_box', 'add_exemplar', 'make_outline'].includes(intent.kind)), id);
    assert.equal(machine.cancel(), false);
  }
});

test('changing the tool in the middle of a drag cancels the drag', () => {
  const { machine, press, move, last } = setUp('box');
  press(1, 1);
  move(50, 50);
  machine.use('pan');
  assert.deepEqual(last(), { kind: 'gesture', gesture: null });
  assert.equal(machine.state.name, 'idle');
});

test('a held tool gives the chosen one back', () => {
  const { machine } = setUp('box');
  machine.hold('pan');
  assert.equal(machine.tool.id, 'pan');
  machine.release();
  assert.equal(machine.tool.id, 'box');
});

test('a box needs two corners; a press alone is refused', () => {
  const { press, move, lift, last } = setUp('box');
  press(40, 30);
  move(10, 5);
  lift(10, 5);
  assert.deepEqual(last(), { kind: 'set_box', box: [10, 5, 40, 30] });
  press(40, 30);
  lift(40, 30);
  assert.equal(last().kind, 'refuse');
});

test('an exemplar is a dragged box, with Alt a negative one; a press alone is for the instance under it', () => {
  const { press, move, lift, last } = setUp('exemplar');
  press(10, 10);
  move(40, 40);
  lift(40, 30);
  assert.deepEqual(last(), { kind: 'add_exemplar', box: [10, 10, 40, 30], positive: true });
  press(10, 10, { alt: true });
  move(40, 40);
  assert.equal(last().gesture.positive, false);
  lift(40, 30);
  assert.equal(last().positive, false);
  for (const tool of ['exemplar', 'text']) {
    const other = setUp(tool);
    other.press(7, 8);
    other.lift(7, 8);
    assert.deepEqual(other.last(), { kind: 'toggle_instance', at: { x: 7, y: 8 } }, tool);
  }
});

test('an engine that knows no exemplars refuses the drag, not the press', () => {
  const { press, move, lift, sent } = setUp('exemplar', { blocked: () => 'classic does not understand exemplars.' });
  press(10, 10);
  move(40, 40);
  lift(40, 40);
  assert.deepEqual(sent, [{ kind: 'refuse', reason: 'classic does not understand exemplars.' }]);
});

test('a handle is dragged from any tool that draws, dropped where it was let go, and put back by Escape', () => {
  for (const tool of ['select', 'point-plus', 'point-minus', 'box']) {
    const handle = { source: 'region', index: 2, at: { x: 3, y: 3 } };
    const { machine, press, move, lift, last } = setUp(tool, { handleAt: () => handle });
    press(3, 3);
    move(30, 30);
    lift(31, 32);
    assert.deepEqual([last().phase, last().to], ['drop', { x: 31, y: 32 }], tool);
    press(3, 3);
    move(30, 30);
    machine.cancel();
    assert.deepEqual([last().phase, last().to], ['revert', { x: 3, y: 3 }], tool);
  }
});

test('a locked class is refused with the reason and nothing is drawn', () => {
  const { press, lift, sent } = setUp('point-plus', { blocked: () => 'car is locked.' });
  press(5, 5);
  lift(5, 5);
  assert.deepEqual(sent, [{ kind: 'refuse', reason: 'car is locked.' }]);
});

test('an outline is drawn node by node, taken back by Backspace and closed by Enter', () => {
  const { machine, press, last } = setUp('outline');
  press(0, 0);
  press(50, 0);
  press(50, 50);
  press(90, 90);
  machine.handle('back');
  machine.handle('accept');
  assert.deepEqual(last(), { kind: 'make_outline', ring: [[0, 0], [50, 0], [50, 50]] });
});

test('an outline closes on its first node and refuses two nodes', () => {
  const { machine, press, last } = setUp('outline');
  for (const [x, y] of [[0, 0], [50, 0], [50, 50], [3, 2]]) press(x, y);
  assert.equal(last().kind, 'make_outline');
  press(0, 0);
  press(50, 0);
  machine.handle('accept');
  assert.equal(last().kind, 'refuse');
  assert.equal(machine.state.name, 'idle');
});

test('Shift previews under the pointer only over free ground', () => {
  const { machine, at, last } = setUp('point-plus');
  machine.handle('hover', at(9, 9, { shift: true }));
  assert.deepEqual(last(), { kind: 'preview', at: { x: 9, y: 9 }, label: 1 });
  machine.handle('hover', at(9, 9));
  assert.equal(last().at, null);
});

test('a state that cannot be cancelled, an unknown tool and an unknown state are refused', () => {
  const bad = { id: 'bad', states: { idle: {}, stuck: {} } };
  assert.throws(() => createMachine({ tools: [bad], send: () => {}, look: {} }), /cannot be cancelled/);
  const lost = { id: 'lost', states: { idle: { down: () => ({ name: 'nowhere' }) } } };
  const machine = createMachine({ tools: [lost], send: () => {}, look: {} });
  assert.throws(() => machine.use('nothing'), /no tool/);
  assert.throws(() => machine.handle('down'), /no state/);
});
