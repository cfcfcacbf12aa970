/** Changes of regions on their way to the server: shown at once, acknowledged or taken back later. */

/** An engine turns each mask into points: on a slow machine that takes its time. */
const PATIENCE_EACH_MS = 20_000;

export function createChanges({ store, transport, frames, revisions, emit, say, t }) {
  const get = store.get;

  /** What every answered change does; `frame` is where it happened, perhaps no longer shown. */
  function acknowledged(frame, answer) {
    const saved = new Map([answer?.region, ...(answer?.regions ?? [])].filter(Boolean).map((region) => [region.id, region]));
    for (const region of saved.values()) revisions.set(region.id, region.revision);
    const { frameId, regions, draft } = get();
    if (draft) saved.delete(draft.id);
    if (frameId === frame && regions.some((r) => saved.has(r.id))) {
      store.set({ regions: regions.map((r) => saved.get(r.id) ?? r) });
    }
    frames.changed(frame);
    store.set({ canUndo: true, canRedo: false });
  }

  function send(frame, build, undone = () => {}) {
    return transport.change(build, (answer) => acknowledged(frame, answer)).then(() => {
      emit('pt:regions', { frame_id: frame });
      if (transport.unsent === 0) frames.refreshMap(frame).catch(() => {});
    }, (error) => {
      say(error.status === 409 ? t('error.conflict') : t('error.refused', { reason: error.message }), 'error');
      frames.changed(frame);
      emit('pt:regions', { frame_id: frame });
      return frames.refresh(frame).then(() => undone(error));
    });
  }

  function add(region, extra, undone) {
    const { id, class_id, geometry, track_id } = region;
    if (track_id) store.set({ joins: null, retrack: { id, track: track_id } });
    return send(region.frame_id, () => ({
      method: 'POST', url: `/frames/${region.frame_id}/regions`, body: { id, class_id, geometry, ...(track_id ? { track_id } : {}), ...extra },
    }), undone);
  }

  /** Several regions in one change, that one undo takes back. `made`: [{region, proposal, engine}]. */
  function addAll(frame, made, undone) {
    const regions = made.map(({ region: { id, class_id, geometry }, proposal, engine }) => ({ id, class_id, geometry, proposal, engine }));
    return send(frame, () => ({
      method: 'POST', url: `/frames/${frame}/regions/batch`, body: { regions }, patience: PATIENCE_EACH_MS * regions.length,
    }), undone);
  }

  function patch(region, body) {
    // What a person corrected is an anchor: the frames around it may follow.
    if (body.geometry && region.track_id) store.set({ retrack: { id: region.id, track: region.track_id } });
    return send(region.frame_id, () => ({
      method: 'PATCH', url: `/regions/${region.id}`, body, revision: revisions.get(region.id) ?? region.revision,
    }));
  }

  function remove(region) {
    return send(region.frame_id, () => ({
      method: 'DELETE', url: `/regions/${region.id}`, revision: revisions.get(region.id) ?? region.revision,
    }));
  }

  return { send, add, addAll, patch, remove };
}
