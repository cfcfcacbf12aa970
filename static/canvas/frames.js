/**
 * Which frame is shown. The old picture stays until the new one is decoded; neighbours are fetched ahead, so that an
 * arrow key paints from memory; what the server says afterwards replaces it.
 */
import { frameId, frameIndex } from './ids.js';
import { emptyMap } from './labelmap.js';
import { createLru } from './lru.js';
import { fitView } from './view.js';

const IMAGE_BYTES = 400 << 20;
const MAP_BYTES = 160 << 20;
const SETTLE_MS = 90;
const AHEAD = [1, -1, 2, -2, 3, 4];

export function createFrames({ store, transport, revisions, emit, say, t }) {
  // Evicted bitmaps are closed unless they are on screen; that one goes when it is replaced.
  const images = createLru(IMAGE_BYTES, (bitmap) => { if (bitmap !== store.get().image) bitmap.close?.(); });
  const maps = createLru(MAP_BYTES);
  const facts = createLru(4 << 20);
  const pending = new Map();
  let turn = 0;
  let settle = 0;
  let direction = 1;
  let ahead = new AbortController();

  const idOf = (index) => frameId(store.get().asset.id, index);

  /** One fetch per thing at a time; a cached one is answered at once. */
  function fetchOnce(kind, id, cache, load, bytes, signal) {
    const cached = cache.get(id);
    if (cached) return Promise.resolve(cached);
    const key = `${kind} ${id}`;
    if (!pending.has(key)) {
      const mine = load(id, signal).then((value) => {
        // A change may have made this answer old while it was under way: then it is shown to nobody else.
        if (pending.get(key) === mine) cache.set(id, value, bytes(value));
        return value;
      }).finally(() => { if (pending.get(key) === mine) pending.delete(key); });
      pending.set(key, mine);
    }
    return pending.get(key);
  }

  const image = (id, signal) => fetchOnce('image', id, images, transport.image, (b) => b.width * b.height * 4, signal);
  const map = (id, signal) => fetchOnce('map', id, maps, transport.regionMap, (m) => m.ids.byteLength * 2, signal);
  const fact = (id, signal) => fetchOnce('fact', id, facts, transport.frame, (f) => 500 + f.regions.length * 600, signal);

  function remember(view) {
    for (const region of view.regions) revisions.set(region.id, region.revision);
    revisions.set(view.frame.id, view.frame.revision);
    facts.set(view.frame.id, view, 500 + view.regions.length * 600);
  }

  /** Put on screen what is in memory for `index`; the image must be there. */
  function show(index, bitmap) {
    const state = store.get();
    const id = idOf(index);
    const view = facts.get(id);
    const sameSize = state.width === bitmap.width && state.height === bitmap.height && state.image;
    const patch = {
      frameId: id, index, image: bitmap, width: bitmap.width, height: bitmap.height,
      map: maps.get(id) ?? null, regions: view?.regions ?? [], frame: view?.frame ?? null,
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
    ahead.abort();
    ahead = new AbortController();
    clearTimeout(settle);
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

  async function settled(id, mine, quiet) {
    transport.focus(id, store.get().engine);
    if (!quiet) emit('pt:frame', { frame_id: id, index: store.get().index });
    await refresh(id);
    if (mine === turn) prefetch(store.get().index, ahead.signal);
  }

  /** Ask the server how the frame stands now; the map only when its key changed. */
  async function refresh(id) {
    try {
      const view = await transport.frame(id);
      remember(view);
      if (maps.get(id)?.key !== view.key) maps.remove(id);
      const state = store.get();
      if (state.frameId !== id) return;
      if (transport.unsent === 0) {
        const kept = view.regions.some((region) => region.id === state.selected);
        store.set({ regions: view.regions, frame: view.frame, ...(kept ? {} : { selected: null, point: null }) });
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

  async function prefetch(index, signal) {
    for (const step of AHEAD) {
      const next = index + step * direction;
      if (next < 0 || next >= store.get().total) continue;
      const id = idOf(next);
      try {
        await Promise.all([image(id, signal), map(id, signal), fact(id, signal)]);
      } catch {
        return;
      }
      if (signal.aborted) return;
    }
  }

  return {
    goto,
    gotoId: (id) => goto(frameIndex(id)),
    refresh,
    /** For playback: true when the frame was in memory and is shown now. */
    showIfReady(index) {
      const bitmap = images.get(idOf(index));
      if (bitmap) show(index, bitmap);
      return Boolean(bitmap);
    },
    /** Frames `from`… into memory, for playback. */
    async fill(from, count, signal) {
      const last = Math.min(from + count, store.get().total);
      for (let i = from; i < last && !signal.aborted; i++) {
        await Promise.all([image(idOf(i)), map(idOf(i)).catch(() => null)]);
      }
    },
    /** The map of a frame is stale: the server's answer to a change said so. */
    changed(id, view = null) {
      maps.remove(id);
      pending.delete(`map ${id}`);
      pending.delete(`fact ${id}`);
      if (view) remember(view);
      else facts.remove(id);
    },
    /** Every frame may have other regions now: an import was made or taken back. The images stay. */
    changedAll() {
      maps.clear();
      facts.clear();
      for (const key of [...pending.keys()]) if (!key.startsWith('image ')) pending.delete(key);
    },
    refreshMap,
    /** What is known of any frame, from memory where it is there: its region map, its regions. */
    mapOf: (id) => map(id),
    factsOf: (id) => fact(id),
    currentMap: () => store.get().map ?? emptyMap(store.get().width, store.get().height),
  };
}
