/** Shared by the tools that can take hold of a point: from press to drop. A press without a move selects it. */
export const SLOP = 3;

/** The state that holds `handle` ({source: 'region'|'prompt', index}), or null where there is none under `e`. */
export function grab(e, look) {
  const handle = look.handleAt(e.at);
  return handle ? { name: 'grabbing', handle, from: handle.at, start: e.screen, moved: false } : null;
}

export const grabbing = {
  move: (s, e, send) => {
    if (!s.moved && Math.hypot(e.screen.x - s.start.x, e.screen.y - s.start.y) < SLOP) return s;
    send({ kind: 'move_handle', handle: s.handle, to: e.at, phase: 'move' });
    return s.moved ? s : { ...s, moved: true };
  },
  up: (s, e, send) => {
    if (s.moved) send({ kind: 'move_handle', handle: s.handle, to: e.at, phase: 'drop' });
    else send({ kind: 'select_handle', handle: s.handle });
    return { name: 'idle' };
  },
  cancel: (s, send) => {
    send({ kind: 'move_handle', handle: s.handle, to: s.from, phase: 'revert' });
    return { name: 'idle' };
  },
};
