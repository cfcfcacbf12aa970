/** Everything of tracks that a person does on the canvas: start, correct, confirm, copy, interpolate, delete, onion skin. */
import { BETWEEN_ONLY, findEngine, isReady, tracker } from './engines.js';
import { frameId } from './ids.js';
import { ONION, ONION_WORDS, createOnion } from './onion.js';
import { anchorsAround, createTracks, trackedBy, walkOf } from './tracks.js';
import { mountRetrack } from './ui/retrack.js';
import { mountScope } from './ui/scope.js';
import { mountTrack } from './ui/track.js';

const MARKED = { todo: 'range.marked_todo', done: 'range.marked_done', approved: 'range.marked_approved' };

/** → what the app can do beside the rest. */
export function mountTracking(host, { app, labels, ...context }) {
  const { store, transport, frames, emit, say, announce, t, assetId } = context;
  const get = store.get;
  const tracks = createTracks(context);
  const open = mountTrack(host, { app, tracks, store, t });
  const askScope = mountScope({ app, labels, tracks, transport, store, emit, t });
  mountRetrack(host, { app, store, t });
  createOnion(context);
  const find = (id) => get().regions.find((region) => region.id === id) ?? null;
  const leave = () => store.set({ retrack: null });

  store.on((state, changed) => {
    if (state.joins && changed.has('frameId')) store.set({ joins: null });
    if (!state.retrack) return;
    // An undo is known by what it leaves to redo.
    const next = changed.has('frameId') || ['playing', 'canRedo', 'prompt', 'draft'].some((key) => changed.has(key) && state[key]);
    if (next || (changed.has('regions') && !find(state.retrack.id))) leave();
  });

  async function track(region, direction, engine) {
    const state = get();
    const walk = walkOf(state, { direction, far: 'end' }, [{ ...region, anchor: region.anchor || region.id === state.retrack?.id }]);
    if (walk.wrong) {
      say(t(walk.wrong), 'warn');
      return;
    }
    const behind = direction === 'forward' ? anchorsAround(state.lanes, region.track_id, state.index).behind : null;
    if (behind !== null) walk.stop = behind;
    leave();
    const refused = engine ? await tracks.start({ ...walk, direction, engine }) : t('track.no_engine');
    if (refused) say(t('track.refused', { reason: refused }), 'error');
  }

  /** The engine that tracked last on this page, else the one that is chosen, else any that can. */
  function engineNow() {
    const { engines, engine, trackEngine } = get();
    return isReady(findEngine(engines, trackEngine)) ? trackEngine : tracker(engines, engine)?.id;
  }

  async function settled(work, words) {
    try {
      const n = await work();
      emit('pt:done', { text: t.n(words, n) });
    } catch (error) {
      say(t('error.refused', { reason: error.message }), 'error');
    }
  }

  return {
    openTrack: open,
    leaveRetrack: leave,
    /** Track the corrected region anew, else the selected one: 'forward' to the next anchor or the end, or 'between'. */
    retrack(direction) {
      const region = find(get().retrack?.id ?? get().selected);
      if (region) track(region, direction, engineNow());
    },
    interpolate(id = get().selected) {
      const region = find(id);
      if (region) track(region, 'between', BETWEEN_ONLY);
    },
    /** The selected region becomes an anchor; where none is selected, all tracked regions of the frame. */
    confirmRegion(id = get().selected) {
      const regions = get().regions.filter((region) => (id ? region.id === id : region.track_id) && !region.anchor);
      const locked = regions.map((region) => labels.lockedReason(region.class_id)).find(Boolean);
      if (locked) say(locked, 'warn');
      else if (!regions.length) say(t('refuse.confirmed'), 'info');
      else {
        labels.setAnchors(regions, true);
        announce(t.n('say.confirmed', regions.length));
      }
    },
    release(id) {
      const region = find(id);
      const locked = region && labels.lockedReason(region.class_id);
      if (locked) say(locked, 'warn');
      else if (region?.anchor) labels.setAnchors([region], false);
    },
    remove(id = get().selected) {
      const region = find(id);
      const locked = region && labels.lockedReason(region.class_id);
      if (locked) say(locked, 'warn');
      else if (region?.track_id) askScope(region);
      else if (region) labels.removeRegion(region.id);
    },
    /** The next new region of its class continues the track: a person found on this frame what the tracker lost. */
    join(id) {
      const track = trackedBy(get().lanes, id);
      if (!track || !get().classes.has(track.class_id)) return;
      app.setClass(track.class_id, { fresh: true });
      store.set({ joins: { id, class_id: track.class_id } });
      app.toCanvas();
      say(t('join.begun', { name: track.name }));
    },
    async copyPrevious() {
      const { index, asset, frameId: to, selected } = get();
      if (!index) return;
      const n = await tracks.copy({ from: frameId(asset.id, index - 1), to, track: find(selected)?.track_id }).catch((error) => {
        say(t('error.refused', { reason: error.message }), 'error');
        return null;
      });
      if (n) emit('pt:done', { text: t.n('copy.done', n) });
      else if (n === 0) say(t('copy.none'), 'info');
    },
    cycleOnion(to = ONION[(ONION.indexOf(get().onion) + 1) % ONION.length]) {
      store.set({ onion: to });
      announce(t('say.onion', { which: t(ONION_WORDS[to]) }));
    },
    /** All frames that are selected on the timeline become `state`. */
    markRange(state) {
      const { range } = get();
      if (!range) return;
      settled(async () => {
        const { changed } = await transport.change(() => ({ method: 'POST', url: `/assets/${assetId}/states`, body: { start: range.start, stop: range.stop, state } }));
        store.set({ canUndo: true, canRedo: false });
        frames.changedAll();
        const here = get().frameId;
        emit('pt:regions', { frame_id: here });
        await frames.refresh(here);
        return changed;
      }, MARKED[state]);
    },
  };
}
