/** What the panels say of tracks: their names and extents, what is lost here, anchors, and the selected range. */
import { count, make, icon, t, toast } from '../app.js';
import { lostAt, trackedBy } from '../canvas/tracks.js';

const byId = (id) => document.getElementById(id);
const order = (action, detail = {}) => document.dispatchEvent(new CustomEvent('pt:do', { detail: { action, ...detail } }));
const store = () => globalThis.pointillist?.store;

/** Names of tracks in the tree and in the properties, from what the timeline knows of them. */
export function nameTracks() {
  const lanes = store()?.get().lanes;
  if (!lanes) return;
  for (const row of document.querySelectorAll('#regions-panel [data-track-id]')) {
    const track = trackedBy(lanes, row.dataset.trackId);
    if (!track) continue;
    row.querySelector('.nm').textContent = track.name;
    row.querySelector('.n').textContent = extent(track);
  }
  const title = document.querySelector('#properties [data-track-name]');
  const track = title?.dataset.trackName && trackedBy(lanes, title.dataset.trackName);
  if (!track) return;
  title.textContent = track.name;
  title.title = `${track.name}, ${extent(track)}`;
}
function extent({ regions }) {
  const last = regions.at(-1);
  return last ? t('track_frames', { from: count(regions[0][0] + 1), to: count(last[0] + last[1]) }) : '';
}

/** Rows for tracks that were looked for on this frame and not seen. */
export function showLost() {
  const list = byId('lost-rows');
  const state = store()?.get();
  if (!list || !state) return;
  const lost = state.lanes ? lostAt(state.lanes, state.index) : [];
  list.hidden = !lost.length;
  list.replaceChildren(...lost.map(({ id, name, class_id, first }) => {
    const row = byId('lost-row').content.firstElementChild.cloneNode(true);
    row.dataset.lost = id;
    row.querySelector('.swt').dataset.colour = state.classes.get(class_id)?.colour ?? '#888888';
    row.querySelector('.nm').textContent = name;
    const [find, since] = row.querySelectorAll('button');
    find.title = t('lost_find', { name });
    find.setAttribute('aria-label', find.title);
    find.dataset.joins = id;
    since.textContent = t('lost_since', { n: count(first + 1) });
    since.dataset.frame = String(first);
    return row;
  }));
}

/** What a person may do with all frames of the range that is selected on the timeline. */
function showRange({ range }) {
  const box = byId('range-panel');
  box.hidden = !range;
  if (!range) return;
  const n = range.stop - range.start + 1;
  const button = (state, glyph, key, cap) => make('button', {
    type: 'button', class: 'btn sm', id: `range-${state}`, title: cap, onclick: () => order('mark-range', { state }),
  }, icon(glyph, 's'), t(key, { n }));
  const back = t('range_todo', { n });
  box.replaceChildren(
    make('div', { class: 'row' }, make('h2', { class: 'sec' }, t('range_frames', { from: count(range.start + 1), to: count(range.stop + 1) })), make('span', { class: 'f t1' }, t('range_selected'))),
    make('div', { class: 'row wrap' }, button('done', 'check', 'range_done', 'Alt+X'), button('approved', 'shok', 'range_approved', 'Alt+Shift+X'),
      make('button', { type: 'button', class: 'btn ghost icon sm', id: 'range-todo', title: back, 'aria-label': back, onclick: () => order('mark-range', { state: 'todo' }) }, icon('retry', 's'))));
}

/** A toast whose Undo takes back what it tells of: it goes with the next change, for undo means the last one. */
export function undoable(text) {
  const node = toast(text, { undo: () => order('undo') });
  const stop = store().on((state, changed) => {
    if (!(changed.has('unsent') && state.unsent > 0)) return;
    node.remove();
    stop();
  });
}

export function follow() {
  store().on((state, changed) => {
    if (changed.has('lanes') || changed.has('index')) showLost();
    if (changed.has('lanes')) nameTracks();
    if (changed.has('range')) showRange(state);
  });
  showRange(store().get());
}

document.addEventListener('pt:done', ({ detail }) => {
  const { unsent, canRedo } = store().get();
  // Done, and another change or an undo went after it already: then Undo would mean that one.
  if (!detail.sending && (unsent > 0 || canRedo)) toast(detail.text);
  else undoable(detail.text);
});
document.addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-region-do]');
  if (chosen) {
    chosen.closest('[popover]')?.hidePopover();
    order(chosen.dataset.regionDo, { region_id: chosen.dataset.region });
  }
  const found = event.target.closest('[data-joins]');
  if (found) order('join-track', { track_id: found.dataset.joins });
  const since = event.target.closest('[data-lost] [data-frame]');
  if (since) order('goto-frame', { index: Number(since.dataset.frame) });
});
