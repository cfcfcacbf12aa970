/** Tracking: what is followed and how far, and the requests for it. The regions come with the events of the job. */
import { BETWEEN_ONLY } from './engines.js';
import { newId } from './ids.js';

/** More regions than these one job does not take. */
export const MOST_REGIONS = 200;

export const trackedBy = (lanes, id) => {
  for (const cls of lanes?.classes ?? []) for (const track of cls.tracks) if (track.id === id) return { ...track, class_id: cls.class_id };
  return null;
};

/** The nearest anchors of a track on both sides of frame `index`, null where there is none. */
export function anchorsAround(lanes, track, index) {
  const anchors = trackedBy(lanes, track)?.anchors ?? [];
  return { before: anchors.findLast((i) => i < index) ?? null, behind: anchors.find((i) => i > index) ?? null };
}

const inRun = ([start, length], index) => index >= start && index < start + length;

/** Tracks that are lost on frame `index` and have no region there: [{id, name, class_id, first}], `first` = where the loss begins. */
export function lostAt(lanes, index) {
  return (lanes?.classes ?? []).flatMap((cls) => cls.tracks.flatMap((track) => {
    const run = track.lost.find((one) => inRun(one, index));
    return run && !track.regions.some((one) => inRun(one, index)) ? [{ id: track.id, name: track.name, class_id: cls.class_id, first: run[0] }] : [];
  }));
}

/** The regions of the frame that `what` means: 'selected' | 'class' | 'frame'. What is locked stays out. */
export function subjectsOf(state, what) {
  const selected = state.regions.find((region) => region.id === state.selected);
  if (what === 'selected') return selected && !state.locked[selected.class_id] ? [selected] : [];
  const open = state.regions.filter((region) => !state.locked[region.class_id]);
  return what === 'frame' ? open : open.filter((region) => region.class_id === classOf(state));
}

/** The class that 'class' means: that of the selected region, else the chosen one. */
export const classOf = (state) => state.regions.find((region) => region.id === state.selected)?.class_id ?? state.classId;

/**
 * How far a walk from frame `index` goes: {start, stop, frames, regions}, indices with both ends; or {wrong}, the key of
 * a sentence. `frames` is null where only the server knows. Between anchors, regions without any are left out.
 * @param choice {direction: 'forward' | 'backward' | 'both' | 'between', far: 'end' | 'some' | 'range', frames}
 */
export function walkOf({ index, total, range, lanes }, { direction, far, frames }, regions) {
  if (!regions.length) return { wrong: 'track.no_region' };
  if (regions.length > MOST_REGIONS) return { wrong: 'track.too_many' };
  if (direction === 'between') return betweenAnchors(lanes, index, regions);
  const reach = far === 'range' && range ? [range.start, range.stop] : far === 'some' ? [index - frames, index + frames] : [0, total - 1];
  if (index < reach[0] || index > reach[1]) return { wrong: 'track.outside' };
  const start = direction === 'forward' ? index : Math.max(0, reach[0]);
  const stop = direction === 'backward' ? index : Math.min(total - 1, reach[1]);
  return start === stop ? { wrong: 'track.no_room' } : { start, stop, frames: stop - start, regions };
}

const definedOf = (around) => Object.fromEntries(Object.entries(around).filter(([, index]) => index !== null));

/** The region counts as one of the two where it is an anchor itself. */
function betweenAnchors(lanes, index, regions) {
  if (!lanes) return { frames: null, regions };
  const seen = new Set();
  const kept = regions.filter(({ track_id: track, anchor }) => {
    const here = anchor ? index : null;
    const { before = here, behind = here } = definedOf(anchorsAround(lanes, track, index));
    if (before === null || behind === null || behind - before < 2 || (anchor && behind - before === 2 && before < index && index < behind)) return false;
    for (let i = before + 1; i < behind; i++) if (!anchor || i !== index) seen.add(i);
    return true;
  });
  return kept.length ? { frames: seen.size, regions: kept } : { wrong: 'track.no_anchor' };
}

export function createTracks({ store, transport, frames, emit, announce, t, projectId, assetId }) {
  return {
    /** → '' once the job is queued, else why not, as a sentence. */
    async start({ regions, direction, engine, start, stop }) {
      const body = { asset_id: assetId, region_ids: regions.map((region) => region.id), direction, engine, start, stop, id: newId() };
      try {
        // In the queue of changes: a region may be one that is not saved yet.
        await transport.change(() => ({ method: 'POST', url: `/projects/${projectId}/tracks`, body }));
      } catch (error) {
        return error.message;
      }
      if (engine !== BETWEEN_ONLY) store.set({ trackEngine: engine });
      announce(t('track.started', { engine }));
      return '';
    },

    /** Delete more of a track than one region. → {deleted, frames}; throws what the server answers. */
    async remove(region, scope) {
      const answer = await transport.change(() => ({ method: 'DELETE', url: `/regions/${region.id}?scope=${scope}` }));
      const { selected, regions } = store.get();
      store.set({ canUndo: true, canRedo: false, regions: regions.filter((one) => one.id !== region.id), ...(selected === region.id ? { selected: null, point: null, draft: null } : {}) });
      if (selected === region.id) emit('pt:selection', { region_ids: [] });
      frames.changedAll();
      emit('pt:regions', { frame_id: region.frame_id });
      await frames.refresh(store.get().frameId);
      return answer;
    },

    /** Copies of the regions of another frame, or of those of one track there. → how many. */
    async copy({ from, to, track }) {
      const only = track ? (await transport.frame(from)).regions.filter((region) => region.track_id === track).map((region) => region.id) : [];
      const answer = await transport.change(() => ({
        method: 'POST', url: `/frames/${to}/regions/copy`, body: { from, ...(track ? { region_ids: only } : {}), id: newId() },
      }));
      store.set({ canUndo: true, canRedo: false });
      frames.changed(to);
      emit('pt:regions', { frame_id: to });
      await frames.refresh(to);
      return answer.regions.length;
    },
  };
}
