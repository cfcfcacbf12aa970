/** Inspect: the pixel under the pointer says who wins there and who is beaten; a press keeps it, arrows move it. */
export const inspect = {
  id: 'inspect',
  cursor: 'crosshair',
  passive: true,
  states: {
    idle: {
      hover: (s, e, send) => { send({ kind: 'inspect', how: 'hover', at: e.at }); },
      down: (s, e, send) => { send({ kind: 'inspect', how: 'pin', at: e.at }); },
      arrow: (s, e, send) => { send({ kind: 'inspect', how: 'step', dx: e.dx, dy: e.dy }); },
    },
  },
};
