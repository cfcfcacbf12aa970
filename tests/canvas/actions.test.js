import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { ACTIONS, GESTURES, GROUPS, hintsFor, resolve } from '../../static/canvas/actions.js';
import { chordsOf, classOfChord, isTyping, keyCaps } from '../../static/canvas/keys.js';
import { STRING_KEYS, createStrings } from '../../static/canvas/strings.js';
import { createStore, initialState } from '../../static/canvas/store.js';
import { TOOLS } from '../../static/canvas/tools/index.js';

const key = (name, code = '', mods = {}) => ({ key: name, code, ctrlKey: false, altKey: false, shiftKey: false, metaKey: false, ...mods });
const CLASSES = [{ id: 1, name: 'car', colour: '#1f8876', priority: 1, shortcut: '1' }, { id: 2, name: 'pole', colour: '#eaf467', priority: 2, shortcut: 'G' }, { id: 3, name: 'sky', colour: '#73c1fe', priority: 0, shortcut: '0' }];
const state = (patch = {}) => ({ ...initialState({ classes: CLASSES, project: {}, asset: { frame_count: 10 } }), ...patch });

test('no key means two actions', () => {
  for (const column of ['keys', 'soft']) {
    const all = ACTIONS.flatMap((action) => action[column] ?? []);
    assert.equal(new Set(all).size, all.length, column);
  }
});

test('every tool has one action with a key, and every action a group', () => {
  assert.deepEqual(ACTIONS.filter((a) => a.tool).map((a) => a.tool).sort(), TOOLS.map((tool) => tool.id).sort());
  for (const action of ACTIONS) assert.ok(GROUPS.includes(action.group), action.id);
});

test('letters are known by sign, or by place on another layout', () => {
  assert.deepEqual(chordsOf(key('a', 'KeyA')), ['a']);
  assert.deepEqual(chordsOf(key('ф', 'KeyA')), ['ф', 'a']);
  assert.deepEqual(chordsOf(key('Z', 'KeyZ', { ctrlKey: true, shiftKey: true })), ['Ctrl+Shift+z']);
  assert.deepEqual(chordsOf(key('!', 'Digit1', { shiftKey: true })), ['!', 'Shift+1']);
  assert.deepEqual(chordsOf(key('?', 'Slash', { shiftKey: true })), ['?']);
  assert.deepEqual(chordsOf(key('ArrowLeft', 'ArrowLeft', { shiftKey: true })), ['Shift+ArrowLeft']);
});

test('class keys choose, with Shift they start anew; a class on 0 wins over fit, a tool key wins over a class', () => {
  const found = (e) => resolve(chordsOf(e), state(), classOfChord);
  assert.deepEqual([found(key('1', 'Digit1')).cls.name, found(key('1', 'Digit1')).fresh], ['car', false]);
  assert.deepEqual([found(key('!', 'Digit1', { shiftKey: true })).cls.name, found(key('!', 'Digit1', { shiftKey: true })).fresh], ['car', true]);
  assert.equal(found(key('g', 'KeyG')).cls.name, 'pole');
  assert.equal(found(key('0', 'Digit0')).cls.name, 'sky');
  assert.equal(resolve(['0'], state({ classes: new Map() }), classOfChord).action.id, 'fit');
  assert.equal(found(key('a', 'KeyA')).action.id, 'tool-point-plus');
  assert.equal(found(key('я', '')), null);
});

test('keys are text in inputs, not on sliders and buttons', () => {
  assert.equal(isTyping({ tagName: 'INPUT', type: 'text' }), true);
  assert.equal(isTyping({ tagName: 'TEXTAREA' }), true);
  assert.equal(isTyping({ tagName: 'DIV', isContentEditable: true }), true);
  assert.equal(isTyping({ tagName: 'INPUT', type: 'range' }), false);
  assert.equal(isTyping({ tagName: 'BUTTON' }), false);
});

test('key caps read as they are printed', () => {
  assert.deepEqual(keyCaps('Ctrl+Shift+z'), ['Ctrl', 'Shift', 'Z']);
  assert.deepEqual(keyCaps('+'), ['+']);
  assert.deepEqual(keyCaps('Enter'), ['↵']);
});

test('the hints name what the tool does and what waits', () => {
  const texts = (s) => hintsFor(s).map((hint) => hint.text);
  assert.ok(!texts(state()).includes('hint.accept'));
  assert.ok(texts(state({ prompt: { points: [] } })).includes('hint.accept'));
  assert.ok(texts(state({ tool: 'box' })).includes('hint.box'));
  assert.ok(texts(state({ selected: 'r' })).includes('hint.deselect'));
});

function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? sources(new URL(`${entry.name}/`, folder))
    : entry.name.endsWith('.js') ? [[entry.name, readFileSync(new URL(entry.name, folder), 'utf8')]] : []));
}
const ALL = [...sources(new URL('../../static/canvas/', import.meta.url)), ...sources(new URL('../../static/workspace/', import.meta.url))];

test('every string key in the code is in the table, and no key is left over', () => {
  const used = new Set();
  for (const [name, text] of ALL) {
    for (const [, found] of text.matchAll(/\b(?:t|refuse)\(\s*'([a-z][\w-]*\.[\w.-]+)'/g)) {
      assert.ok(found in STRING_KEYS, `${name}: ${found}`);
    }
    if (name === 'strings.js') continue;
    for (const [, found] of text.matchAll(/\bt\.n\('([\w.]+)'/g)) assert.ok(`${found}.other` in STRING_KEYS, `${name}: ${found}`);
    for (const known of Object.keys(STRING_KEYS)) if (text.includes(`'${known}'`) || text.includes(`'${known.replace(/\.(one|other)$/, '')}'`)) used.add(known);
  }
  for (const item of [...ACTIONS, ...GESTURES]) for (const k of [item.label, item.hint].filter(Boolean)) {
    assert.ok(k in STRING_KEYS, k);
    used.add(k);
  }
  // Made of parts: group.*, key.*, state.*, saved.*
  const left = Object.keys(STRING_KEYS).filter((k) => !used.has(k) && !/^(group|key|state|saved)\./.test(k));
  assert.deepEqual(left, []);
});

test('nothing but transport and its worker fetches, nothing parses HTML, no file is longer than 400 lines', () => {
  for (const [name, text] of ALL) {
    if (!['transport.js', 'clip_worker.js'].includes(name)) assert.doesNotMatch(text, /\bfetch\(|XMLHttpRequest/, name);
    assert.doesNotMatch(text, /innerHTML|insertAdjacentHTML|\beval\(|new Function/, name);
    assert.doesNotMatch(text, /\balert\(|\bconfirm\(/, name);
    assert.ok(text.split('\n').length <= 400, name);
  }
});

test('sent strings win, missing ones fall back to English, plurals follow the language', () => {
  const t = createStrings({ 'say.accepted': 'Принято: {name}.', 'say.points.one': '{n} точка', 'say.points.few': '{n} точки', 'say.points.other': '{n} точек' }, 'ru');
  assert.equal(t('say.accepted', { name: 'car' }), 'Принято: car.');
  assert.equal(t('layer.image'), 'Image');
  assert.deepEqual([1, 2, 5, 21].map((n) => t.n('say.points', n)), ['1 точка', '2 точки', '5 точек', '21 точка']);
  assert.equal(createStrings()('say.accepted', { other: 1 }), 'Accepted as {name}.');
});

test('the store tells which keys changed, and is silent when nothing did', () => {
  const store = createStore({ a: 1, b: 2 });
  const heard = [];
  store.on((now, changed) => heard.push([...changed]));
  store.set({ a: 1 });
  store.set({ a: 3, b: 2 });
  assert.deepEqual(heard, [['a']]);
});
