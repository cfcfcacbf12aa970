/**
 * Outline: edits the rings of the selected region (drag a node, press an edge to add one, Alt-click takes one away),
 * or draws a new region by hand, node by node. It needs no engine, so it works while the worker is down.
 */
const idle = { name: 'idle' };
const gesture = (ring, at) => ({ kind: 'gesture', gesture: { kind: 'ring', ring, at } });

export const nodeDragging = {
  move: (s, e, send, look) => {
    send({ kind: 'move_node', ring: s.ring, node: s.node, to: look.clamp(e.at), phase: 'move' });
    return s.moved ? s : { ...s, moved: true };
  },
  up: (s, e, send, look) => {
    if (s.moved) send({ kind: 'move_node', ring: s.ring, node: s.node, to: look.clamp(e.at), phase: 'drop' });
    return idle;
  },
  cancel: (s, send) => {
    send({ kind: 'move_node', ring: s.ring, node: s.node, to: s.from, phase: 'revert' });
    return idle;
  },
};

function close(s, send) {
  send({ kind: 'gesture', gesture: null });
  if (s.ring.length < 3) {
    send({ kind: 'refuse', reason: 'refuse.short_ring' });
    return idle;
  }
  send({ kind: 'make_outline', ring: s.ring });
  return idle;
}

export const outline = {
  id: 'outline',
  cursor: 'arrow',
  states: {
    idle: {
      down: (s, e, send, look) => {
        const node = look.nodeAt(e.at);
        if (node && e.alt) {
          send({ kind: 'remove_node', ...node });
          return idle;
        }
        if (node) return { name: 'node', ...node, from: e.at, moved: false };
        const edge = look.edgeAt(e.at);
        if (edge) {
          send({ kind: 'insert_node', ring: edge.ring, node: edge.node, at: { x: edge.x, y: edge.y } });
          // Held at once: it is saved with the drop, or on a plain press as it stands.
          return { name: 'node', ring: edge.ring, node: edge.node + 1, from: { x: edge.x, y: edge.y }, moved: true };
        }
        const reason = look.locked();
        if (reason) {
          send({ kind: 'refuse', reason });
          return idle;
        }
        if (!look.inFrame(e.at)) return idle;
        const first = look.clamp(e.at);
        send(gesture([[first.x, first.y]], first));
        return { name: 'drawing', ring: [[first.x, first.y]] };
      },
      remove: (s, e, send) => send({ kind: 'remove_selected' }),
    },
    node: nodeDragging,
    drawing: {
      cursor: 'box',
      down: (s, e, send, look) => {
        const at = look.clamp(e.at);
        const [x, y] = s.ring[0];
        if (s.ring.length >= 3 && Math.hypot(x - e.at.x, y - e.at.y) * look.scale() <= 10) return close(s, send);
        const [lx, ly] = s.ring[s.ring.length - 1];
        // The second press of a double click closes the ring.
        if (Math.hypot(lx - at.x, ly - at.y) * look.scale() <= 2) return s.ring.length >= 3 ? close(s, send) : s;
        const ring = [...s.ring, [at.x, at.y]];
        send(gesture(ring, at));
        return { ...s, ring };
      },
      move: (s, e, send, look) => {
        send(gesture(s.ring, look.clamp(e.at)));
        return s;
      },
      hover: (s, e, send, look) => {
        send(gesture(s.ring, look.clamp(e.at)));
        return s;
      },
      accept: (s, e, send) => close(s, send),
      back: (s, e, send) => {
        const ring = s.ring.slice(0, -1);
        send({ kind: 'gesture', gesture: ring.length ? { kind: 'ring', ring, at: null } : null });
        return ring.length ? { ...s, ring } : idle;
      },
      cancel: (s, send) => {
        send({ kind: 'gesture', gesture: null });
        return idle;
      },
    },
  },
};
