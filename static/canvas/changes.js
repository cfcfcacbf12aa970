/** Changes of regions on their way to the server: shown at once, acknowledged or taken back later. */

export function createChanges({ store, transport, frames, revisions, emit, say, t }) {
  const get = store.get;

  /** What every answered change does; `frame` is where it happened, perhaps no longer shown. */
  function acknowledged(frame, answer) {
    if (answer?.region) {
      revisions.set(answer.region.id, answer.region.revision);
      const state = get();
      if (state.frameId === frame && state.regions.some((r) => r.id === answer.region.id) && state.draft?.id !== answer.region.id) {
        store.set({ regions: state.regions.map((r) => (r.id === answer.region.id ? answer.region : r)) });
      }
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
    const { id, class_id, geometry } = region;
    return send(region.frame_id, () => ({
      method: 'POST', url: `/frames/${region.frame_id}/regions`, body: { id, class_id, geometry, ...extra },
    }), undone);
  }

  function patch(region, body) {
    return send(region.frame_id, () => ({
      method: 'PATCH', url: `/regions/${region.id}`, body, revision: revisions.get(region.id) ?? region.revision,
    }));
  }

  function remove(region) {
    return send(region.frame_id, () => ({
      method: 'DELETE', url: `/regions/${region.id}`, revision: revisions.get(region.id) ?? region.revision,
    }));
  }

  return { send, add, patch, remove };
}
