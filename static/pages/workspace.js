/** The panels beside the canvas: they ask the island by `pt:do` and follow what it says by `pt:*`. */
import { icon, make, problem, remember, t } from '../app.js';
import { mountJobLine } from './job_line.js';
import { follow as followTracks, nameTracks, showLost } from './workspace_tracks.js';

const byId = (id) => document.getElementById(id);
const main = byId('main');
const data = JSON.parse(byId('workspace-data').textContent);
const project = data.project.id;
const order = (action, detail = {}) => document.dispatchEvent(new CustomEvent('pt:do', { detail: { action, ...detail } }));
remember('pt_project', project);
remember('pt_asset', data.asset.id);
/** After a click by mouse the keys belong to the canvas again; who works by keyboard stays where they are. */
const backToCanvas = (event) => { if (event.detail) byId('canvas-host').focus({ preventScroll: true }); };

// ---- resume where this asset was left, unless the address names a frame
const place = `pointillist place ${data.asset.id}`;
let frame = null;
let selected = null;
let resumed = !data.resume;
/** A region that the address asks for; it is selected once, when its frame has come. */
let named = new URLSearchParams(location.search).get('region');

/** The address names the frame it opened; elsewhere it would lead a reload back there. */
function leaveAddress() {
  const address = new URL(location.href);
  if (!address.searchParams.has('frame')) return;
  for (const name of ['frame', 'region']) address.searchParams.delete(name);
  history.replaceState(history.state, '', address);
}

// ---- facts and regions of the open frame, in one request
let asked = 0;
let timer = 0;
async function load() {
  if (!frame) return;
  const mine = asked += 1;
  const answer = await fetch(`/workspace/${project}/_panel?frame=${frame}`, { headers: { 'HX-Request': 'true', Accept: 'text/html' } }).catch(() => null);
  const text = answer?.ok ? await answer.text() : null;
  if (mine !== asked || text === null) return;
  const page = new DOMParser().parseFromString(text, 'text/html');
  const focused = document.activeElement?.closest('[data-node],[data-region],[data-state]');
  const mark = focused && (focused.dataset.region ? `[data-region="${focused.dataset.region}"]` : focused.dataset.node ? `[data-node="${focused.dataset.node}"]` : `[data-state="${focused.dataset.state}"]`);
  const inside = focused?.closest('#regions-panel, #frame-panel')?.id;
  for (const part of page.querySelectorAll('[data-part]')) byId(part.dataset.part).replaceChildren(...part.childNodes);
  if (inside && mark) byId(inside).querySelector(mark)?.focus();
  applyTree();
  showCounts();
  showProposal();
  nameTracks();
  showLost();
}
function loadSoon(wait = 60) {
  clearTimeout(timer);
  timer = setTimeout(load, wait);
}
document.addEventListener('pt:frame', ({ detail }) => {
  if (!resumed) {
    resumed = true;
    const index = Number(localStorage.getItem(place));
    if (index > 0 && index < data.asset.frame_count) {
      order('goto-frame', { index });
      return;
    }
  }
  const moved = frame !== detail.frame_id;
  frame = detail.frame_id;
  if (moved) choose(null);
  if (moved && detail.index !== data.frame_index) leaveAddress();
  try { localStorage.setItem(place, String(detail.index)); } catch { /* private window: nothing is remembered */ }
  loadSoon(moved && frame ? 90 : 0);
});
document.addEventListener('pt:regions', ({ detail }) => {
  if (detail.frame_id !== frame) return;
  loadSoon();
});
document.addEventListener('pt:selection', ({ detail }) => choose(detail.region_ids[0] ?? null));
document.body.addEventListener('pt-raw-frame', ({ detail }) => { if (detail.id === frame) loadSoon(); });

// ---- status of the frame
byId('frame-panel').addEventListener('click', (event) => {
  const button = event.target.closest('[data-state]');
  if (button) {
    order('frame-state', { state: button.dataset.state });
    backToCanvas(event);
  }
});
byId('frame-panel').addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const all = [...byId('frame-panel').querySelectorAll('[data-state]')];
  const here = all.indexOf(event.target);
  if (!step || here < 0) return;
  event.preventDefault();
  event.stopPropagation();
  all[(here + step + all.length) % all.length].focus();
});

// ---- classes: what is shown, locked and chosen lives in the island
const rows = new Map([...document.querySelectorAll('#classes [data-class]')].map((row) => [Number(row.dataset.class), row]));
const island = () => globalThis.pointillist?.store?.get();
function showClasses() {
  const state = island();
  if (!state) return;
  for (const [id, row] of rows) {
    const { name } = row.dataset;
    const off = Boolean(state.hidden[id]);
    const locked = Boolean(state.locked[id]);
    row.classList.toggle('off', off);
    row.classList.toggle('cur', state.classId === id);
    const pick = row.querySelector('.pick');
    pick.setAttribute('aria-pressed', String(state.classId === id));
    pick.tabIndex = state.classId === id ? 0 : -1;
    toggle(row.querySelector('.eye'), !off, off ? 'eyeoff' : 'eye', t(off ? 'show' : 'hide', { name }));
    const lock = row.querySelector('.lk');
    toggle(lock, locked, locked ? 'lock' : 'unlock', t(locked ? 'unlock' : 'lock', { name }));
    lock.classList.toggle('dim', !locked);
    const slider = row.querySelector('input');
    const value = Math.round(100 * (state.opacityOf[id] ?? state.opacity));
    if (document.activeElement !== slider) slider.value = String(value);
    slider.style.setProperty('--v', `${slider.value}%`);
  }
}
function toggle(button, pressed, glyph, label) {
  if (button.getAttribute('aria-label') === label) return;
  button.setAttribute('aria-pressed', String(pressed));
  button.setAttribute('aria-label', label);
  button.replaceChildren(icon(glyph));
}
function showCounts() {
  const counts = JSON.parse(document.querySelector('#regions-panel [data-counts]')?.dataset.counts || '{}');
  for (const [id, row] of rows) row.querySelector('.n').textContent = counts[id] ?? '';
}
byId('classes').addEventListener('click', (event) => {
  const row = event.target.closest('[data-class]');
  if (!row) return;
  const class_id = Number(row.dataset.class);
  if (event.target.closest('.eye')) order('toggle-class', { class_id });
  else if (event.target.closest('.lk')) order('lock-class', { class_id });
  else if (!event.target.closest('input')) order('set-class', { class_id, fresh: event.shiftKey });
  showClasses();
  if (!event.target.closest('input')) backToCanvas(event);
});
byId('classes').addEventListener('input', (event) => {
  const row = event.target.closest('[data-class]');
  if (row) order('class-opacity', { class_id: Number(row.dataset.class), value: event.target.valueAsNumber / 100 });
  event.target.style.setProperty('--v', `${event.target.value}%`);
});
byId('classes').addEventListener('keydown', (event) => {
  if (!event.target.matches('.pick')) return;
  const all = [...rows.values()].map((row) => row.querySelector('.pick'));
  const here = all.indexOf(event.target);
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to !== undefined) {
    const next = all[(to + all.length) % all.length];
    next.focus();
    order('set-class', { class_id: Number(next.closest('[data-class]').dataset.class) });
  } else return;
  event.preventDefault();
  event.stopPropagation();
});
for (const name of ['pt:class', 'pt:classes']) document.addEventListener(name, showClasses);
function follow() {
  const store = globalThis.pointillist?.store;
  if (!store) {
    requestAnimationFrame(follow);
    return;
  }
  showClasses();
  followTracks();
  mountJobLine(byId('job-line'), { data, order });
  store.on((state, changed) => {
    if (['opacity', 'opacityOf', 'hidden', 'locked', 'classId'].some((key) => changed.has(key))) showClasses();
    if (changed.has('selected')) choose(state.selected);
    // Once the server has it: before, the panel would show what was.
    else if (selected && (changed.has('regions') || changed.has('unsent')) && !state.unsent) {
      const region = state.regions.find((one) => one.id === selected);
      if (region && signOf(region) !== shown) showProperties();
    }
    if (named && changed.has('regions') && state.regions.some((region) => region.id === named)) {
      order('select-region', { region_id: named });
      named = null;
    }
  });
  const now = store.get();
  if (now.frameId && !frame) document.dispatchEvent(new CustomEvent('pt:frame', { detail: { frame_id: now.frameId, index: now.index } }));
}
follow();
// ---- the tree of regions
const closed = new Set();
const tree = byId('regions-panel');
const visible = () => [...tree.querySelectorAll('[role=treeitem]')].filter((item) => !item.hidden);
function applyTree() {
  const hidden = new Set();
  let top = '';
  for (const item of tree.querySelectorAll('[role=treeitem]')) {
    const { node, parent } = item.dataset;
    const level = Number(item.getAttribute('aria-level'));
    if (level === 1) top = node;
    const under = level === 1 ? [] : [top, ...(level === 3 ? [lastTrack(item)] : [])];
    item.hidden = under.some((key) => hidden.has(key)) || (parent ? hidden.has(parent) : false);
    if (node) {
      item.setAttribute('aria-expanded', String(!closed.has(node)));
      if (closed.has(node)) hidden.add(node);
    }
    item.setAttribute('aria-selected', String(Boolean(item.dataset.region) && item.dataset.region === selected));
  }
}
function lastTrack(item) {
  let before = item.previousElementSibling;
  while (before && before.getAttribute('aria-level') === '3') before = before.previousElementSibling;
  return before?.dataset.node;
}
function activate(item) {
  if (item.dataset.region) order('select-region', { region_id: item.dataset.region });
  else if (item.dataset.node) {
    closed.has(item.dataset.node) ? closed.delete(item.dataset.node) : closed.add(item.dataset.node);
    applyTree();
  }
}
tree.addEventListener('click', (event) => {
  const item = event.target.closest('[role=treeitem]');
  if (item) activate(item);
  if (item?.dataset.region) backToCanvas(event);
});
tree.addEventListener('keydown', (event) => {
  const item = event.target.closest('[role=treeitem]');
  if (!item) return;
  const all = visible();
  const here = all.indexOf(item);
  const { node } = item.dataset;
  let to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === 'ArrowRight' && node && closed.has(node)) activate(item);
  else if (event.key === 'ArrowRight' && node) to = here + 1;
  else if (event.key === 'ArrowLeft' && node && !closed.has(node)) activate(item);
  else if (event.key === 'ArrowLeft') to = all.slice(0, here).findLastIndex((other) => other.ariaLevel < item.ariaLevel);
  else if (event.key === 'Enter' || event.key === ' ') activate(item);
  else if (event.key === 'Delete' && item.dataset.region) order('delete-region', { region_id: item.dataset.region });
  else if (to === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  const next = all[to];
  if (!next) return;
  all.forEach((other) => { other.tabIndex = other === next ? 0 : -1; });
  next.focus();
});

let proposal = null;
document.addEventListener('pt:proposal', ({ detail }) => {
  proposal = detail;
  showProposal();
});
function showProposal() {
  const slot = byId('proposal-slot');
  if (!slot) return;
  const n = Array.isArray(proposal?.points) ? proposal.points.length : proposal?.points ?? 0;
  if (!proposal) {
    slot.replaceChildren();
    return;
  }
  const row = byId('proposal-row').content.firstElementChild.cloneNode(true);
  const { instances } = proposal;
  row.querySelector('.nm').textContent = Number.isInteger(instances) ? t('proposal_instances', { n: instances }) : t('proposal', { n });
  slot.replaceChildren(row);
}

// ---- properties of the selected region
async function choose(region) {
  if (region === selected) return;
  selected = region;
  applyTree();
  tree.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  await showProperties();
}
const signOf = (region) => `${region.id} ${region.revision}`;
let shown = '';
let wanted = 0;
async function showProperties() {
  const mine = wanted += 1;
  const box = byId('properties');
  if (!selected || !frame) {
    box.hidden = true;
    box.replaceChildren();
    return;
  }
  const region = island()?.regions.find((one) => one.id === selected);
  shown = region ? signOf(region) : '';
  const answer = await fetch(`/workspace/${project}/_properties?frame=${frame}&region=${selected}`, { headers: { 'HX-Request': 'true', Accept: 'text/html' } }).catch(() => null);
  const text = answer?.ok ? await answer.text() : '';
  if (mine !== wanted) return;
  box.replaceChildren(...new DOMParser().parseFromString(text, 'text/html').body.childNodes);
  box.hidden = !text;
  nameTracks();
}
byId('properties').addEventListener('change', (event) => {
  if (event.target.id === 'pr-class') order('set-region-class', { region_id: event.target.dataset.region, class_id: Number(event.target.value) });
  const { attribute, region } = event.target.dataset;
  if (attribute) order('set-region-attributes', { region_id: region, attributes: { [attribute]: event.target.value } });
});
byId('properties').addEventListener('click', (event) => {
  const forget = event.target.closest('[data-forget]');
  if (forget) order('set-region-attributes', { region_id: forget.dataset.region, attributes: { [forget.dataset.attribute]: '' } });
  const way = event.target.closest('[data-track]');
  if (way) order('track', { direction: way.dataset.track });
  const button = event.target.closest('[data-delete]');
  if (!button) return;
  button.closest('[popover]')?.hidePopover();
  order('delete-region', { region_id: button.dataset.delete });
});

// ---- the class template changed elsewhere
document.body.addEventListener('pt-raw-template', ({ detail }) => {
  if (detail.id !== data.project.class_template_id || document.querySelector('#problems [data-template]')) return;
  const block = problem(t('template_changed'), t('template_then'), 'info', make('button', { class: 'btn', onclick: () => location.reload() }, t('reload')));
  block.dataset.template = '';
  byId('problems').append(block);
});

// ---- the panel and the timeline can be made larger, by hand or by keys
for (const grip of document.querySelectorAll('[data-resize]')) {
  const name = grip.dataset.resize;
  const [least, most] = [Number(grip.ariaValueMin), Number(grip.ariaValueMax)];
  const property = `--${name}`;
  const set = (size) => {
    const px = Math.round(Math.min(most, Math.max(least, size)));
    main.style.setProperty(property, `${px}px`);
    grip.setAttribute('aria-valuenow', String(px));
    try { localStorage.setItem(`pt-${name}`, String(px)); } catch { /* not remembered, then */ }
  };
  const size = () => Number.parseInt(getComputedStyle(main).getPropertyValue(property), 10);
  const known = Number(localStorage.getItem(`pt-${name}`));
  if (known) set(known);
  else grip.setAttribute('aria-valuenow', String(size()));
  grip.addEventListener('pointerdown', (event) => {
    grip.setPointerCapture(event.pointerId);
    const from = { at: name === 'panel' ? event.clientX : event.clientY, size: size() };
    const move = (e) => set(from.size + from.at - (name === 'panel' ? e.clientX : e.clientY));
    grip.addEventListener('pointermove', move);
    grip.addEventListener('lostpointercapture', () => grip.removeEventListener('pointermove', move), { once: true });
  });
  grip.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: 16, ArrowUp: 16, ArrowRight: -16, ArrowDown: -16 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    set(size() + step);
  });
}
