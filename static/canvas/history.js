/** Undo, redo and the state of the frame: changes that travel in the same queue as the regions. */

export function createHistory({ store, transport, frames, revisions, emit, say, announce, t, projectId }) {
  async function travel(direction) {
    const here = store.get().frameId;
    try {
      const answer = await transport.change(() => ({ method: 'POST', url: `/projects/${projectId}/${direction}` }));
      if (!answer) return;
      store.set({ canUndo: answer.can_undo ?? true, canRedo: answer.can_redo ?? direction === 'undo' });
      if (answer.what) {
        say(answer.what, 'info');
        announce(answer.what);
      }
      const there = answer.frame_id ?? here;
      if (answer.frame_id) frames.changed(there);
      else frames.changedAll();
      emit('pt:regions', { frame_id: there });
      if (there === store.get().frameId) await frames.refresh(there);
      else await frames.gotoId(there);
    } catch (error) {
      // Nothing left (404) is an answer, not a fault: the button says so from now on.
      if (error.status === 404) store.set(direction === 'undo' ? { canUndo: false } : { canRedo: false });
      say(error.message, 'warn');
    }
  }

  /** What was asked for and is not acknowledged yet: the next toggle starts from it, the page shows it later. */
  const wished = new Map();

  /** Done and approved are toggles: done again → todo, approved again → done. */
  function toggleFrameState(wanted) {
    const { frame } = store.get();
    if (frame) setFrameState((wished.get(frame.id) ?? frame.state) === wanted ? (wanted === 'approved' ? 'done' : 'todo') : wanted);
  }

  async function setFrameState(state) {
    const { frame, frameId, index } = store.get();
    if (!frame) return;
    wished.set(frameId, state);
    try {
      await transport.change(
        () => ({ method: 'PATCH', url: `/frames/${frameId}`, body: { state }, revision: revisions.get(frameId) ?? frame.revision }),
        (answer) => {
          const saved = answer?.frame ?? answer;
          if (saved?.revision) {
            revisions.set(frameId, saved.revision);
            if (store.get().frameId === frameId) store.set({ frame: { ...store.get().frame, ...saved } });
          }
          frames.changed(frameId);
        });
      emit('pt:frame', { frame_id: frameId, index, state });
      store.set({ canUndo: true, canRedo: false });
      announce(t('say.state', { n: index + 1, state: t(`state.${state}`) }));
    } catch (error) {
      say(error.status === 409 ? t('error.conflict') : t('error.refused', { reason: error.message }), 'error');
      await frames.refresh(frameId);
    } finally {
      if (wished.get(frameId) === state) wished.delete(frameId);
    }
  }

  return { undo: () => travel('undo'), redo: () => travel('redo'), toggleFrameState, setFrameState };
}
