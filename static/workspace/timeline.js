/** The timeline: strip and lanes over one view of the frames, scrubbing, zoom, ranges, jumps and their keys. */
import { el } from '../canvas/dom.js';
import { frameId, frameIndex } from '../canvas/ids.js';
import { createBar } from './bar.js';
import { createFacts } from './facts.js';
import { createFlicker } from './flicker_row.js';
import { mountHover } from './hover.js';
import { anchorsOf, eventsOf, gapsOf, nearestIn, nextInRuns, nextMark, todoOf } from './jumps.js';
import { FACTS, anchorNear, factAt, opensItself, regionOfRow, rowOfRegion, rowsOf, unlisted } from './lanes.js';
import { createLaneView } from './lane_view.js';
import { createPalette } from './palette.js';
import { playbackBar } from './playback_bar.js';
import { between, createRange, lengthOfRange, marked } from './range.js';
import { clockOf, spaced } from './ruler.js';
import { MAX_CELL, cellOf, scrollTo, scrollWithin, timecode, valueAt, zoomOf } from './runs.js';
import { listenDrag, listenStripKeys, listenWheel } from './scrub.js';
import { createStrip } from './strip.js';

const START_CELL = 22;
const SNAP_PX = 6;

export function mountTimeline({ root, app, store, transport, data, t, say }) {
  const host = root.querySelector('#strip') ?? root.appendChild(el('div', { id: 'strip' }));
  const barHost = root.querySelector('#transport') ?? root.insertBefore(el('div', { id: 'transport' }), host);
  if (!root.hasAttribute('aria-label')) root.setAttribute('aria-label', t('time.label'));
  const { asset } = data;
  const get = store.get;
  const facts = createFacts({ asset, store, transport, say, on: { loaded, changed: () => schedule() } });
  const view = { scroll: 0, width: 0, cell: START_CELL, total: facts.total };
  const palette = createPalette(() => schedule());
  const heard = el('div', { class: 'sr', 'aria-live': 'polite' });
  root.append(heard);

  const flicker = createFlicker({ store, transport, data, t, say, on: { changed: () => schedule('flicker') } });
  root.append(flicker.menu);
  const strip = createStrip(host, { t, thumbUrl: transport.thumbUrl, name: asset?.name ?? '', below: flicker.nodes });
  strip.setIds((index) => frameId(asset.id, index));
  const lanes = createLaneView(strip.grid, { t, on: {
    scrolled: () => schedule('lanes'),
    toggle: (row) => toggle(row),
    step: (row, n) => walk(row, clamp(get().index + n)),
    event: (row, step) => walk(row, nextMark(eventsOf(row), get().index, step), 'jump.none_event'),
    choose: (row) => visit(row, nearestIn(row.regions, get().index)),
  } });
  const range = createRange(strip.grid, { t, total: () => view.total, on: {
    range: setRange, frameAt: (x) => underStrip(x - left()), reveal: (index) => scrollInto(index),
  } });
  const bar = createBar(barHost, { app, store, t, project: data.project?.id, on: {
    zoom: (value) => setCell(cellOf(value, view.width, view.total), anchorX()),
    zoomBy: (factor) => zoomBy(factor, anchorX()),
  } });
  bar.group.after(...playbackBar({ app, store, t }));

  // ---- painting, once a frame
  let zoom = null;
  let scheduled = 0;
  const dirty = new Set();
  const none = [];
  const flagged = () => get().lanes?.flagged ?? none;
  const left = () => strip.thumbsTrack.getBoundingClientRect().left;
  const clamp = (index) => Math.min(Math.max(index, 0), view.total - 1);
  const underStrip = (x) => clamp(Math.floor((view.scroll + x) / view.cell));

  function stateText(index) {
    const parts = [t('time.value', { n: index + 1, m: view.total }), t(`state.${facts.stateAt(index)}`)];
    if (valueAt(facts.regions, index)) parts.push(t('time.has_regions'));
    return parts.join(', ');
  }
  const factText = (row, index) => t('lane.fact', { name: row.name, n: index + 1, fact: t(FACTS[factAt(row, index)]) });

  function laneState() {
    const { index, selected, regions, proposal, classId } = get();
    const region = selected ? regions.find((one) => one.id === selected) : null;
    const tinted = rowOfRegion(lanes.rows, region);
    return { index, tinted, proposal: proposal ? (tinted >= 0 ? tinted : rowOfRegion(lanes.rows, { class_id: classId, track_id: null })) : -1 };
  }

  /** @param what 'all', 'lanes' (the list was scrolled), 'flicker' (there are other answers) or 'playhead' */
  function schedule(what = 'all') {
    dirty.add(what);
    scheduled ||= requestAnimationFrame(render);
  }

  function render() {
    scheduled = 0;
    if (!view.width || !view.total) return;
    const all = dirty.has('all');
    const ink = palette();
    const { index, fps } = get();
    if (all || dirty.has('playhead')) {
      strip.render(view, { facts, flagged: flagged(), index, label: stateText(index), fps }, ink, { playheadOnly: !all });
    }
    if (all || dirty.has('flicker')) flicker.render(view, index, ink);
    else if (dirty.has('playhead')) flicker.tell(index);
    if (all) range.render(get().range, view, get().range ? rangeText(get().range) : '');
    if (all || dirty.has('lanes')) lanes.render(view, laneState(), ink, { scrolled: !all });
    dirty.clear();
  }

  // ---- zoom and scroll
  function anchorX() {
    const x = (get().index + 0.5) * view.cell - view.scroll;
    return x >= 0 && x <= view.width ? x : view.width / 2;
  }
  function setCell(cell, at = view.width / 2) {
    const frame = (view.scroll + at) / view.cell;
    view.cell = cell;
    view.scroll = scrollWithin(view, frame * cell - at);
    zoom = zoomOf(cell, view.width, view.total);
    bar.setZoom(zoom);
    schedule();
  }
  function zoomBy(factor, at) {
    const least = Math.min(view.width / Math.max(1, view.total), MAX_CELL);
    setCell(Math.min(Math.max(view.cell * factor, least), MAX_CELL), Math.max(0, at));
  }
  function scrollInto(index) {
    view.scroll = scrollTo(view, index);
    schedule();
  }
  function measure() {
    const { width } = strip;
    if (!width) return;
    if (width !== view.width) {
      view.width = width;
      if (zoom === null) {
        setCell(Math.max(START_CELL * (width > 1300 ? 2 : 1), width / Math.max(1, view.total)), 0);
        // First look: the open frame in the middle.
        view.scroll = scrollWithin(view, (get().index + 0.5) * view.cell - width / 2);
      } else {
        setCell(Math.max(view.cell, width / Math.max(1, view.total)));
      }
      view.scroll = scrollTo(view, get().index);
    }
    schedule();
  }
  new ResizeObserver(measure).observe(host);
  function loaded() {
    if (view.total !== facts.total) Object.assign(view, { total: facts.total, width: 0 });
    if (!view.width) zoom = null;
    measure();
    schedule();
  }

  // ---- rows
  const memory = `pointillist lanes ${data.project?.id}`;
  const opened = new Map(recall(memory));
  const isOpen = (lane) => {
    if (!opened.has(lane.class_id) && lane.tracks.length) opened.set(lane.class_id, opensItself(lane));
    return opened.get(lane.class_id) ?? false;
  };
  function showRows() {
    const { lanes: found, classes } = get();
    const more = unlisted(found);
    const rows = rowsOf(found, classes, isOpen, {
      unknown: (n) => t('lane.unknown', { n }), loose: t('lane.loose'), nameless: (n) => t('lane.nameless', { n }),
    });
    lanes.setRows(rows, !found ? '' : !rows.length ? t('lane.empty') : more ? t.n('lane.more', more, { n: spaced(more) }) : '');
    schedule();
  }
  function toggle(row) {
    opened.set(row.classId, !row.open);
    try { localStorage.setItem(memory, JSON.stringify([...opened])); } catch { /* Private windows may refuse. */ }
    showRows();
  }

  /** Go to a frame and, once its regions are known, select the one of the row. */
  let wanted = null;
  let told = null;
  document.addEventListener('pt:frame', ({ detail }) => {
    told = detail.frame_id;
    // After the panels heard of the frame: they take no selection on one that they do not know.
    queueMicrotask(chooseWanted);
  });
  function visit(row, index) {
    if (index < 0) return;
    wanted = { row, index };
    if (get().index !== index) app.goto(index);
    else chooseWanted();
  }
  function chooseWanted() {
    const { index, frame, frameId: shown, regions } = get();
    if (wanted && wanted.index !== index) wanted = null;
    if (!wanted || !frame || frame.id !== shown || told !== shown || frameIndex(shown) !== index) return;
    const region = regionOfRow(wanted.row, regions);
    wanted = null;
    if (region) app.request({ action: 'select-region', region_id: region.id });
  }

  /** Along a row by keys: what is selected there stays selected from frame to frame. */
  function walk(row, index, otherwise) {
    if (index < 0) {
      say(t(otherwise), 'info');
      return;
    }
    const { selected, regions } = get();
    if (selected && regionOfRow(row, regions)?.id === selected) visit(row, index);
    else app.goto(index);
    heard.textContent = factText(row, index);
  }

  store.on((state, changed) => {
    if (changed.has('index')) {
      const next = scrollTo(view, state.index, { page: state.playing });
      const moved = next !== view.scroll;
      view.scroll = next;
      schedule(moved || state.selected ? 'all' : 'playhead');
      showClock(state);
    }
    if (changed.has('frame') && state.frame && state.frame.id === state.frameId) {
      facts.setState(frameIndex(state.frame.id), state.frame.state);
      showClock(state);
    }
    if (changed.has('regions') || changed.has('frame') || changed.has('frameId')) chooseWanted();
    if (changed.has('selected')) {
      schedule();
      if (state.selected) lanes.reveal(laneState().tinted);
    }
    if (changed.has('proposal') || changed.has('range')) schedule();
    if (changed.has('lanes') || changed.has('classes')) showRows();
    if (changed.has('playing')) bar.setPlaying(state.playing);
    if (changed.has('review')) bar.setReview(state.review.toReview);
  });
  function showClock({ frame, index, fps }) {
    const known = frame && frameIndex(frame.id) === index ? frame.pts : fps ? index / fps : null;
    bar.setClock(known === null ? '' : timecode(known));
  }

  // ---- range
  function setRange(next) {
    store.set({ range: next });
    heard.textContent = next ? t('range.is', { n: next.start + 1, m: next.stop + 1, length: rangeText(next) }) : t('range.cleared');
  }
  function rangeText(chosen) {
    const n = lengthOfRange(chosen);
    const { fps } = get();
    const frames = t.n('range.frames', n, { n: spaced(n) });
    if (!fps) return frames;
    return `${frames} · ${n / fps < 60 ? t('range.seconds', { n: (n / fps).toFixed(n / fps < 10 ? 2 : 1) }) : clockOf(n / fps)}`;
  }

  // ---- pointer, wheel, keys
  const stripIndex = (x) => underStrip(x - left());
  const wholeIndex = (x) => clamp(Math.floor(((x - left()) / view.width) * view.total));
  const go = (index) => { if (view.total) app.goto(index); };
  const select = (from, to) => {
    setRange(between(from, to, view.total));
    strip.thumbsTrack.focus({ preventScroll: true });
  };
  listenDrag(strip.thumbsTrack, stripIndex, { go, range: select });
  listenDrag(strip.rulerTrack, stripIndex, { go, range: select });
  listenDrag(flicker.track, (x) => flicker.frameAt(stripIndex(x)), { go, range: select });
  listenDrag(strip.overviewTrack, wholeIndex, { go });
  listenDrag(lanes.box, stripIndex, { go, range: select, click: (e) => {
    const row = lanes.rows[lanes.rowAt(e.clientY)];
    if (!row) return;
    const near = anchorNear(row, (view.scroll + e.clientX - left()) / view.cell, SNAP_PX / view.cell);
    visit(row, near >= 0 ? near : stripIndex(e.clientX));
    app.toCanvas();
  } });
  lanes.tree.addEventListener('click', (e) => {
    const row = e.target.closest('.ll') && e.target.closest('[role=treeitem]')?.row;
    if (!row) return;
    if (row.open !== null) toggle(row);
    else visit(row, nearestIn(row.regions, get().index));
    if (e.detail) app.toCanvas();
  });

  listenWheel(host, {
    zoom: (factor, x) => zoomBy(factor, x - left()),
    scroll: (by) => {
      view.scroll = scrollWithin(view, view.scroll + by);
      schedule();
    },
  });
  for (const track of [strip.thumbsTrack, flicker.track]) {
    listenStripKeys(track, {
      step: (n) => app.step(n), goto: go, last: () => view.total - 1, page: () => Math.max(1, Math.floor(view.width / view.cell)),
    });
  }
  flicker.track.addEventListener('keydown', (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (!step || !(e.ctrlKey || e.metaKey) || e.altKey) return;
    e.preventDefault();
    jumpTo(flicker.over(get().index, step), 'flicker.none_over');
  });
  root.addEventListener('keydown', (e) => {
    if (e.key === 'Escape' && get().range) setRange(null);
    else if ((e.ctrlKey || e.metaKey) && (e.key === '+' || e.key === '=')) zoomBy(1.5, anchorX());
    else if ((e.ctrlKey || e.metaKey) && e.key === '-') zoomBy(1 / 1.5, anchorX());
    else return;
    e.preventDefault();
    e.stopPropagation();
  });

  // ---- a card with the frame under the pointer
  mountHover({
    root, areas: [strip.overviewTrack, strip.rulerTrack, strip.thumbsTrack, flicker.track, lanes.box],
    urlOf: (index) => transport.thumbUrl(frameId(asset.id, index)),
    look: (x, y, area) => {
      if (!view.total || x < left()) return null;
      const index = area === strip.overviewTrack ? wholeIndex(x) : area === flicker.track ? flicker.frameAt(stripIndex(x)) : stripIndex(x);
      const { fps } = get();
      const lines = [t('time.value', { n: spaced(index + 1), m: spaced(view.total) }),
        [fps ? clockOf(index / fps, 0.01) : '', t(`state.${facts.stateAt(index)}`)].filter(Boolean).join(' · ')];
      const row = area === lanes.box ? lanes.rows[lanes.rowAt(y)] : null;
      if (area === flicker.track) lines.push(...flicker.sentences(index));
      else if (row) lines.push(t('lane.here', { name: row.name, fact: t(FACTS[factAt(row, index)]) }));
      else if (valueAt(flagged(), index)) lines.push(t(FACTS.flagged));
      return { index, lines };
    },
  });

  // ---- jumps
  function jumpTo(index, otherwise) {
    if (index < 0) say(t(otherwise), 'info');
    else app.goto(index);
  }
  const JUMPS = {
    todo: (index, step) => jumpTo(nextInRuns(todoOf(facts.states, view.total), index, step), 'refuse.no_todo'),
    unlabelled: (index, step) => jumpTo(nextInRuns(gapsOf(facts.regions, view.total), index, step), 'jump.none_unlabelled'),
    flagged: (index, step) => jumpTo(nextInRuns(flagged(), index, step), 'jump.none_flagged'),
    anchor: (index, step) => {
      const { selected, regions, lanes: found } = get();
      const region = regions.find((one) => one.id === selected);
      const track = region?.track_id ?? null;
      const next = nextMark(anchorsOf(found, track), index, step);
      if (track && next >= 0) visit({ kind: 'track', classId: region.class_id, trackId: track }, next);
      else jumpTo(next, track ? 'jump.none_anchor_of' : 'jump.none_anchor');
    },
  };

  facts.load();
  measure();
  return {
    jump: (kind, step) => JUMPS[kind](get().index, step),
    setRangeEdge: (edge) => setRange(marked(get().range, edge, get().index, view.total)),
    reload: facts.load,
  };
}

function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? [];
  } catch {
    return [];
  }
}
