/** Tracking the selected region through other frames: a job of the server, whose regions come with its events. */
import { newId } from './ids.js';

/** The frames that are asked for, as indices with both ends; nothing where it goes as far as it can. Pure. */
export function rangeOf(index, total, direction, frames) {
  if (!frames) return {};
  return {
    ...(direction === 'forward' ? {} : { start: Math.max(0, index - frames) }),
    ...(direction === 'backward' ? {} : { stop: Math.min(total - 1, index + frames) }),
  };
}

export function createTracks({ store, transport, say, announce, t, projectId, assetId }) {
  return {
    /** `frames`: how many on each side, 0 for as far as it goes. True once the job is under way. */
    async start({ direction, frames, engine }) {
      const { selected, index, total } = store.get();
      const body = { asset_id: assetId, region_ids: [selected], direction, engine, id: newId(), ...rangeOf(index, total, direction, frames) };
      try {
        // In the queue of changes: the region may be one that is not saved yet.
        await transport.change(() => ({ method: 'POST', url: `/projects/${projectId}/tracks`, body }));
        announce(t('track.started', { engine }));
        return true;
      } catch (error) {
        say(t('track.refused', { reason: error.message }), 'error');
        return false;
      }
    },
  };
}
