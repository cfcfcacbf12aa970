/** The island's state: one plain object, replaced by patches; listeners hear which keys changed. */
export function createStore(initial) {
  let state = { ...initial };
  const listeners = new Set();
  return {
    get: () => state,
    set(patch) {
      const changed = new Set(Object.keys(patch).filter((key) => !Object.is(patch[key], state[key])));
      if (!changed.size) return;
      state = { ...state, ...patch };
      for (const listener of [...listeners]) listener(state, changed);
    },
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function initialState(data, remembered = {}) {
  const classes = data.classes ?? [];
  const first = classes.find((cls) => cls.id === remembered.classId) ?? classes[0];
  return {
    asset: data.asset, total: data.asset?.frame_count ?? 0, fps: data.asset?.fps ?? null,
    index: data.frame_index ?? 0, frameId: null, frame: null, pts: null,
    image: null, width: data.asset?.width ?? 0, height: data.asset?.height ?? 0, map: null, regions: [],
    classes: new Map(classes.map((cls, i) => [cls.id, { order: i, ...cls }])),
    classId: first?.id ?? null,
    hidden: remembered.hidden ?? {}, opacityOf: remembered.opacityOf ?? {}, locked: remembered.locked ?? {},
    opacity: remembered.opacity ?? 0.46,
    layers: { image: true, labels: true, points: true, certificates: false, ...remembered.layers },
    view: { scale: 1, x: 0, y: 0, fit: true }, viewport: { width: 0, height: 0 },
    tool: 'point-plus', held: null, alt: false, shift: false,
    selected: null, point: null, draft: null,
    prompt: null, proposal: null, preview: null, busy: false,
    pointer: null, gesture: null,
    inspect: null, inspection: null, whatIf: null, review: null,
    engine: data.project?.engine ?? 'classic', projectEngine: data.project?.engine ?? 'classic', engines: data.engines ?? [],
    scoreLimit: 0.5, worker: { state: 'starting', reason: '' }, online: true,
    saved: 'saved', unsent: 0, canUndo: data.can_undo ?? true, canRedo: data.can_redo ?? false,
    playing: false, buffering: false, dropped: 0, speed: 1, loop: false, range: null, lanes: null, message: null, onion: 'off', ghosts: null, retrack: null, stabilise: null, compared: null, matte: null, cutout: null, joins: null, trackEngine: null,
  };
}
