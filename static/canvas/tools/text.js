/** Text: the words go into the field of the canvas bar; on the canvas a press takes an instance in or out. */
import { SLOP } from './grab.js';

const idle = { name: 'idle' };

export const text = {
  id: 'text',
  cursor: 'arrow',
  passive: true,
  states: {
    idle: { down: (s, e) => ({ name: 'pressed', start: e.screen, last: e.screen, at: e.at, panned: false }) },
    pressed: {
      move: (s, e, send) => {
        if (!s.panned && Math.hypot(e.screen.x - s.start.x, e.screen.y - s.start.y) < SLOP) return s;
        send({ kind: 'pan', dx: e.screen.x - s.last.x, dy: e.screen.y - s.last.y });
        return { ...s, last: e.screen, panned: true };
      },
      up: (s, e, send) => {
        if (!s.panned) send({ kind: 'toggle_instance', at: s.at });
        return idle;
      },
      cancel: () => idle,
    },
  },
};
