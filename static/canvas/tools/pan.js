/** Pan: drag moves the picture. Also what the middle button and a held Space do. */
export const pan = {
  id: 'pan',
  cursor: 'grab',
  passive: true,
  states: {
    idle: { down: (s, e) => ({ name: 'panning', last: e.screen, moved: false }) },
    panning: {
      cursor: 'grabbing',
      move: (s, e, send) => {
        send({ kind: 'pan', dx: e.screen.x - s.last.x, dy: e.screen.y - s.last.y });
        return { ...s, last: e.screen, moved: true };
      },
      up: () => ({ name: 'idle' }),
      cancel: () => ({ name: 'idle' }),
    },
  },
};
