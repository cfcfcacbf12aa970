/** Point + and point −: a click puts a point, a drag sets its reach. Alt turns + into −. */
import { distance } from '../geometry.js';
import { SLOP, grab, grabbing } from './grab.js';

function pointTool(id, label) {
  const idle = { name: 'idle' };
  return {
    id,
    cursor: id,
    previews: true,
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
          if (!look.inFrame(e.at)) return idle;
          return { name: 'pressed', at: e.at, start: e.screen, label: label === 1 && e.alt ? 0 : label };
        },
        hover: (s, e, send, look) => {
          if (e.shift && look.inFrame(e.at) && !look.blocked() && !look.handleAt(e.at)) {
            send({ kind: 'preview', at: e.at, label: label === 1 && e.alt ? 0 : label });
          } else {
            send({ kind: 'preview', at: null });
          }
        },
        leave: (s, e, send) => { send({ kind: 'preview', at: null }); },
        remove: (s, e, send) => send({ kind: 'remove_selected' }),
      },
      grabbing,
      pressed: {
        move: (s, e, send) => {
          if (Math.hypot(e.screen.x - s.start.x, e.screen.y - s.start.y) < SLOP) return s;
          const r = distance(s.at, e.at);
          send({ kind: 'gesture', gesture: { kind: 'reach', at: s.at, r, label: s.label } });
          return { ...s, name: 'reaching', r };
        },
        up: (s, e, send) => {
          send({ kind: 'add_point', at: s.at, label: s.label, r: 0 });
          return idle;
        },
        cancel: () => idle,
      },
      reaching: {
        move: (s, e, send) => {
          const r = distance(s.at, e.at);
          send({ kind: 'gesture', gesture: { kind: 'reach', at: s.at, r, label: s.label } });
          return { ...s, r };
        },
        up: (s, e, send) => {
          send({ kind: 'gesture', gesture: null });
          send({ kind: 'add_point', at: s.at, label: s.label, r: distance(s.at, e.at) });
          return idle;
        },
        cancel: (s, send) => {
          send({ kind: 'gesture', gesture: null });
          return idle;
        },
      },
    },
  };
}

export const pointPlus = pointTool('point-plus', 1);
export const pointMinus = pointTool('point-minus', 0);
