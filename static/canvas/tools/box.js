/** Box: a rubber band that becomes the box of the prompt. */
import { boxOf } from '../geometry.js';
import { grab, grabbing } from './grab.js';

const LEAST = 2;
const idle = { name: 'idle' };

export const box = {
  id: 'box',
  cursor: 'box',
  states: {
    idle: {
      down: (s, e, send, look) => {
        const held = grab(e, look);
        if (held) return held;
        const reason = look.blocked();
        if (reason) {
          send({ kind: 'refuse', reason });
          return idle;
        }
        return { name: 'banding', from: look.clamp(e.at), to: look.clamp(e.at) };
      },
      remove: (s, e, send) => send({ kind: 'remove_selected' }),
    },
    grabbing,
    banding: {
      move: (s, e, send, look) => {
        const to = look.clamp(e.at);
        send({ kind: 'gesture', gesture: { kind: 'band', box: boxOf(s.from, to) } });
        return { ...s, to };
      },
      up: (s, e, send, look) => {
        const [x1, y1, x2, y2] = boxOf(s.from, look.clamp(e.at));
        send({ kind: 'gesture', gesture: null });
        if (x2 - x1 >= LEAST && y2 - y1 >= LEAST) send({ kind: 'set_box', box: [x1, y1, x2, y2] });
        else send({ kind: 'refuse', reason: 'refuse.small_box' });
        return idle;
      },
      cancel: (s, send) => {
        send({ kind: 'gesture', gesture: null });
        return idle;
      },
    },
  },
};
