/**
 * The workspace WebSocket: binary frames both ways, reconnects with back-off for ever.
 * The last `focus` is said again after each reconnect; prompts are not: the caller hears `onDown` and decides.
 */
import { splitMessage } from './masks.js';

export function createSocket({ url, onMessage, onUp = () => {}, onDown = () => {}, WebSocketClass = globalThis.WebSocket,
  later = (fn, ms) => setTimeout(fn, ms), random = Math.random }) {
  let socket = null;
  let tries = 0;
  let closed = false;
  let focus = null;
  let waiting = null;

  function open() {
    if (closed) return;
    waiting = null;
    socket = new WebSocketClass(url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      tries = 0;
      if (focus) send(focus);
      onUp();
    };
    socket.onmessage = ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return;
      const { header, payload } = splitMessage(data);
      onMessage(header, payload);
    };
    socket.onclose = () => {
      socket = null;
      if (closed) return;
      onDown();
      const pause = Math.min(8000, 250 * 2 ** tries) * (0.75 + random() / 2);
      tries += 1;
      waiting = later(open, pause);
    };
  }

  function send(message) {
    if (socket?.readyState !== 1) return false;
    socket.send(new TextEncoder().encode(JSON.stringify({ v: 1, ...message })));
    return true;
  }

  open();
  return {
    /** False when there is no connection: nothing was sent. */
    send,
    /** `engine`: the one that the next prompts will ask, so that it can get ready. */
    focus(frame, engine) {
      focus = { type: 'focus', frame, engine };
      send(focus);
    },
    get open() { return socket?.readyState === 1; },
    close() {
      closed = true;
      clearTimeout(waiting);
      socket?.close();
    },
  };
}
