/** Select: press a region to select it, drag one of its points or outline nodes. */
import { SLOP, grab, grabbing } from './grab.js';
import { nodeDragging } from './outline.js';

export const select = {
  id: 'select',
  cursor: 'arrow',
  states: {
    idle: {
      down: (s, e, send, look) => {
        const held = grab(e, look);
        if (held) return held;
        const node = look.nodeAt(e.at);
        if (node) return { name: 'node', ...node, from: e.at, moved: false };
        return { name: 'pressed', start: e.screen, last: e.screen, at: e.at, panned: false };
      },
      remove: (s, e, send) => send({ kind: 'remove_selected' }),
    },
    grabbing,
    node: nodeDragging,
    // A drag on empty ground pans: there is nothing else it could mean here.
    pressed: {
      move: (s, e, send) => {
        if (!s.panned && Math.hypot(e.screen.x - s.start.x, e.screen.y - s.start.y) < SLOP) return s;
        send({ kind: 'pan', dx: e.screen.x - s.last.x, dy: e.screen.y - s.last.y });
        return { ...s, last: e.screen, panned: true };
      },
      up: (s, e, send) => {
        if (!s.panned) send({ kind: 'select', at: s.at });
        return { name: 'idle' };
      },
      cancel: () => ({ name: 'idle' }),
    },
  },
};
