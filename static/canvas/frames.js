/**
 * Which frame is shown. The old picture stays until the new one is decoded; neighbours are fetched ahead, so that an
 * arrow key paints from memory; what the server says afterwards replaces it.
 */
import { around } from './clock.js';
import { frameId, frameIndex } from './ids.js';
import { emptyMap } from './labelmap.js';
import { createLoader } from './loader.js';
import { createLru } from './lru.js';
import { fitView } from './view.js';

const IMAGE_BYTES = 400 << 20;
const MAP_BYTES = 256 << 20;
const FACT_BYTES = 16 << 20;
const SETTLE_MS = 90;
const NEIGHBOURS = 16;
/** So long a map that cannot be drawn is not asked for again. */
const REASON_MS = 5000;
const RELOAD_MS = 300;
const FOCUS_MS = 500;

const imageBytes = (bitmap) => bitmap.width * bitmap.height * 4;
const mapBytes = (map) => map.ids.byteLength * 2;
const factBytes = (view) => 500 + view.regions.length * 600;

export function createFrames({ store, transport, revisions, emit, say, t }) {
  // Evicted bitmaps are closed unless they are on screen; that one goes when it is replaced.
  const images = createLru(IMAGE_BYTES, (bitmap) => { if (bitmap !== store.get().image) bitmap.close?.(); });
  const maps = createLru(MAP_BYTES);
  const facts = createLru(FACT_BYTES);
  const pending = new Map();
  // 'map <id>', 'fact <id>': in memory, but it may have changed. Most have not: then only the key is asked for.
  const stale = new Set();
  let turn = 0;
  let settle = 0;
  let reloading = 0;
  let focusing = 0;
  let tellFocus = null;
  let direction = 1;

  const idOf = (index) => frameId(store.get().asset.id, index);

  /** One fetch per thing at a time; a cached one is answered at once. */
  function fetchOnce(kind, id, cache, load, bytes, signal) {
    const key = `${kind} ${id}`;
    const cached = stale.has(key) ? null : cache.get(id);
    if (cached) return Promise.resolve(cached);
    if (!pending.has(key)) {
      const mine = load(id, signal).then((value) => {
        // A change may have made this answer old while it was under way: then it is shown to nobody else.
        if (pending.get(key) === mine) {
          cache.set(id, value, bytes(value));
          stale.delete(key);
        }
        return value;
      }).finally(() => { if (pending.get(key) === mine) pending.delete(key); });
      pending.set(key, mine);
      // Whoever asks after it was broken off asks anew.
      signal?.addEventListener('abort', () => { if (pending.get(key) === mine) pending.delete(key); });
    }
    return pending.get(key);
  }

  const image = (id, signal) => fetchOnce('image', id, images, transport.image, imageBytes, signal);
  const map = (id, signal) => fetchOnce('map', id, maps, transport.regionMap, mapBytes, signal);
  const fact = (id, signal) => fetchOnce('fact', id, facts, transport.frame, factBytes, signal);
  const freshMap = (id) => (stale.has(`map ${id}`) ? undefined : maps.get(id));
  const freshFacts = (id) => (stale.has(`fact ${id}`) ? undefined : facts.get(id));
  /** Regions and map of the frame are in memory, or it is known why there is no map. */
  const known = (id) => Boolean(freshFacts(id)) && Boolean(freshMap(id) || facts.get(id).until > performance.now());

  function remember(view) {
    const { id } = view.frame;
    for (const region of view.regions) revisions.set(region.id, region.revision);
    revisions.set(id, view.frame.revision);
    facts.set(id, view, factBytes(view));
    // The key says which regions the map shows: with another one it is an old picture.
    if (maps.has(id) && maps.get(id).key !== view.key) maps.remove(id);
    stale.delete(`fact ${id}`);
    stale.delete(`map ${id}`);
  }

  const loader = createLoader({
    hasImage: (index) => images.has(idOf(index)),
    // The frame that is worked on is asked for by `refresh`; what the server has not been told yet is newer anyway.
    hasFacts: (index) => known(idOf(index)) || (idOf(index) === store.get().frameId && (!store.get().playing || transport.unsent > 0)),
    image: (index, signal) => image(idOf(index), signal),
    clip(row, signal, onFrame) {
      const held = [];
      for (let i = 0; i < row.count; i++) held.push(maps.get(idOf(row.start + i * row.step))?.key);
      return transport.clip(store.get().asset.id, { ...row, known: held.filter(Boolean) }, signal,
        (view, fresh) => onFrame(view.frame.index, view, fresh));
    },
    take(index, view, fresh) {
      const id = idOf(index);
      const state = store.get();
      if (state.frameId === id && transport.unsent > 0) return;
      if (fresh) maps.set(id, fresh, mapBytes(fresh));
      remember(view.reason ? { ...view, until: performance.now() + REASON_MS } : view);
      // It was shown before it was known.
      if (state.frameId === id && !state.frame) store.set({ map: maps.get(id) ?? null, regions: view.regions, frame: view.frame });
    },
  });

  /** Put on screen what is in memory for `index`; the image must be there. */
  function show(index, bitmap) {
    const state = store.get();
    const id = idOf(index);
    const view = freshFacts(id);
    const sameSize = state.width === bitmap.width && state.height === bitmap.height && state.image;
    const patch = {
      frameId: id, index, image: bitmap, width: bitmap.width, height: bitmap.height,
      map: freshMap(id) ?? null, regions: view?.regions ?? [], frame: view?.frame ?? null,
      prompt: null, proposal: null, preview: null, busy: false, draft: null, gesture: null,
    };
    if (state.frameId !== id) Object.assign(patch, { selected: null, point: null });
    if (!sameSize) patch.view = fitView(state.viewport, bitmap);
    store.set(patch);
  }

  async function goto(index, { quiet = false } = {}) {
    const state = store.get();
    if (!state.total) return;
    const target = Math.min(Math.max(Math.round(index), 0), state.total - 1);
    if (target !== state.index) direction = target > state.index ? 1 : -1;
    const id = idOf(target);
    const mine = ++turn;
    clearTimeout(settle);
    // A step is likely to be followed by another one; where somebody scrubs, nobody knows.
    prefetch(target, Math.abs(target - state.index) <= 1 ? NEIGHBOURS : 0);
    store.set({ index: target });
    const ready = images.get(id);
    if (ready) show(target, ready);
    try {
      const bitmap = ready ?? await image(id);
      if (mine !== turn) return;
      if (!ready) show(target, bitmap);
    } catch (error) {
      if (mine === turn) say(t('refuse.no_frame', { reason: error.message }), 'error');
      return;
    }
    settle = setTimeout(() => settled(id, mine, quiet), ready ? SETTLE_MS : 0);
  }

  /**
   * Tell the engine which frame is worked on. To prepare it may take seconds, in which no map is drawn: not for frames
   * that somebody steps through, but where they rest or reach for the pointer.
   */
  function focusSoon(id, mine) {
    clearTimeout(focusing);
    tellFocus = () => {
      clearTimeout(focusing);
      tellFocus = null;
      if (mine === turn && !store.get().playing) transport.focus(id, store.get().engine);
    };
    focusing = setTimeout(() => tellFocus?.(), FOCUS_MS);
  }
  store.on((state, changed) => { if (changed.has('pointer') && state.pointer) tellFocus?.(); });

  async function settled(id, mine, quiet) {
    focusSoon(id, mine);
    if (!quiet) emit('pt:frame', { frame_id: id, index: store.get().index });
    await refresh(id);
    if (mine === turn && !store.get().playing) prefetch(store.get().index, NEIGHBOURS);
  }

  /** The selected region as it is now: where it was tracked anew, the one of its track; null where there is none. */
  function heirOf({ selected, regions }, now) {
    if (!selected || now.some((region) => region.id === selected)) return selected;
    const track = regions.find((region) => region.id === selected)?.track_id;
    return (track && now.find((region) => region.track_id === track)?.id) || null;
  }

  /** Ask the server how the frame stands now; the map only when its key changed. */
  async function refresh(id) {
    try {
      const view = await transport.frame(id);
      remember(view);
      const state = store.get();
      if (state.frameId !== id) return;
      if (transport.unsent === 0) {
        const selected = heirOf(state, view.regions);
        store.set({ regions: view.regions, frame: view.frame, ...(selected === state.selected ? {} : { selected, point: null }) });
      } else {
        store.set({ frame: view.frame });
      }
      await refreshMap(id);
    } catch (error) {
      if (store.get().frameId === id) say(t('refuse.no_frame', { reason: error.message }), 'error');
    }
  }

  /** The server's label map; held back while changes are under way, for it would show the picture before them. */
  async function refreshMap(id) {
    const fresh = await map(id);
    const state = store.get();
    if (state.frameId === id && transport.unsent === 0 && !state.draft) store.set({ map: fresh });
  }

  /** How many frames fit into memory beside those that were shown. */
  function roomFor(count) {
    const { width, height } = store.get();
    return width ? Math.max(1, Math.min(count, Math.floor(IMAGE_BYTES / 2 / (width * height * 4)), Math.floor(MAP_BYTES / 2 / (width * height * 2)))) : count;
  }

  function prefetch(index, neighbours) {
    loader.want([index, ...around(index, roomFor(neighbours), store.get().total, direction)]);
  }

  /** What was prefetched and has changed comes again; a job changes many frames, one after the other. */
  function reload() {
    reloading ||= setTimeout(() => {
      reloading = 0;
      loader.pump();
    }, RELOAD_MS);
  }

  return {
    goto,
    gotoId: (id) => goto(frameIndex(id)),
    refresh,
    // ---- for playback
    /** The frame can be shown at once, with its regions and its map. */
    isReady: (index) => images.has(idOf(index)) && known(idOf(index)),
    isBroken: loader.isBroken,
    isOnScreen: (index) => store.get().frameId === idOf(index),
    /** Show what is in memory, without asking the server how the frame stands. */
    show: (index) => show(index, images.get(idOf(index))),
    /** Presentation time in seconds, null where it is not known yet or there is none. */
    timeOf: (index) => facts.get(idOf(index))?.frame.pts ?? null,
    roomFor,
    want: loader.want,
    /** The frame that is shown is the one that is worked on from now on; `step`: which way playback went. */
    rest(step) {
      const { frameId: id } = store.get();
      const mine = ++turn;
      direction = step;
      clearTimeout(settle);
      settle = setTimeout(() => settled(id, mine, false), 0);
    },

    /** A frame changed, as the server's answer to a change or its message said; `key`: of its region map now. */
    changed(id, view = null, key = null) {
      if (key && !view && freshMap(id)?.key === key) return;
      for (const key of [`map ${id}`, `fact ${id}`]) {
        stale.add(key);
        pending.delete(key);
      }
      loader.forget(frameIndex(id));
      if (view) remember(view);
      reload();
    },
    /** Every frame may have other regions now: an import was made or taken back. The images stay. */
    changedAll() {
      for (const id of maps.keys()) stale.add(`map ${id}`);
      for (const id of facts.keys()) stale.add(`fact ${id}`);
      for (const key of [...pending.keys()]) if (!key.startsWith('image ')) pending.delete(key);
      loader.forget();
      reload();
    },
    refreshMap,
    /** What is known of any frame, from memory where it is there: its region map, its regions. */
    mapOf: (id) => map(id),
    factsOf: (id) => fact(id),
    currentMap: () => store.get().map ?? emptyMap(store.get().width, store.get().height),
  };
}
