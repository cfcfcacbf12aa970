/** Exemplar: a rubber band around an example of what is looked for, with Alt of what is not. A press alone takes an instance in or out. */
import { boxOf } from '../geometry.js';
import { SLOP } from './grab.js';

const LEAST = 2;
const idle = { name: 'idle' };
const gesture = (box, positive) => ({ kind: 'gesture', gesture: box && { kind: 'band', box, exemplar: true, positive } });

export const exemplar = {
  id: 'exemplar',
  cursor: 'box',
  states: {
    idle: {
      down: (s, e) => ({ name: 'pressed', start: e.screen, at: e.at, positive: !e.alt }),
      remove: (s, e, send) => send({ kind: 'remove_selected' }),
    },
    pressed: {
      move: (s, e, send, look) => {
        if (Math.hypot(e.screen.x - s.start.x, e.screen.y - s.start.y) < SLOP) return s;
        const reason = look.blocked();
        if (reason) {
          send({ kind: 'refuse', reason });
          return idle;
        }
        const from = look.clamp(s.at);
        send(gesture(boxOf(from, look.clamp(e.at)), s.positive));
        return { name: 'banding', from, positive: s.positive };
      },
      up: (s, e, send) => {
        send({ kind: 'toggle_instance', at: s.at });
        return idle;
      },
      cancel: () => idle,
    },
    banding: {
      move: (s, e, send, look) => {
        send(gesture(boxOf(s.from, look.clamp(e.at)), s.positive));
        return s;
      },
      up: (s, e, send, look) => {
        const box = boxOf(s.from, look.clamp(e.at));
        send(gesture(null));
        if (box[2] - box[0] >= LEAST && box[3] - box[1] >= LEAST) send({ kind: 'add_exemplar', box, positive: s.positive });
        else send({ kind: 'refuse', reason: 'refuse.small_box' });
        return idle;
      },
      cancel: (s, send) => {
        send(gesture(null));
        return idle;
      },
    },
  },
};
