/** What stands on the picture while a preview is compared: a short flag, and the border between both sides with its handle. */
import { wipeAt } from '../comparison.js';
import { el } from '../dom.js';

const STEP = 0.02;

/**
 * @param name prefix of the element ids; `of`: the key of the state that is compared, {wipe, …} or null
 * @param sideOf(state) 'both', 'before', 'after', or null; `said(state, side)`: what the flag says, '' for nothing
 * @param words keys of strings {before, after, wipe, value}
 */
export function mountWipe(host, { store, t, name, of, sideOf, setWipe, said, words }) {
  const flag = el('p', { class: 'st-flag', id: `${name}-flag`, role: 'status', hidden: true });
  const handle = el('div', {
    class: 'st-wipe', id: `${name}-wipe`, role: 'separator', tabindex: '0', 'aria-orientation': 'vertical', 'aria-label': t(words.wipe), 'aria-valuemin': '0', 'aria-valuemax': '100', hidden: true,
  }, el('span', { class: 'st-grip', 'aria-hidden': 'true' }, el('b', {}, t(words.before)), el('b', {}, t(words.after))));
  host.append(flag, handle);
  const get = store.get;

  for (const kind of ['pointerup', 'click', 'wheel', 'dblclick']) handle.addEventListener(kind, (e) => e.stopPropagation());
  handle.addEventListener('pointerdown', (e) => {
    e.stopPropagation();
    if (e.button !== 0) return;
    e.preventDefault();
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(e.pointerId);
    // Where it was taken hold of stays under the pointer.
    const grip = e.clientX - handle.getBoundingClientRect().left - handle.offsetWidth / 2;
    const move = (event) => {
      event.stopPropagation();
      const at = wipeAt(get(), 0);
      if (at) setWipe((event.clientX - grip - host.getBoundingClientRect().left - at.left) / (at.right - at.left));
    };
    handle.addEventListener('pointermove', move);
    handle.addEventListener('lostpointercapture', () => handle.removeEventListener('pointermove', move), { once: true });
  });
  handle.addEventListener('keydown', (e) => {
    const step = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP }[e.key];
    const to = step ? get()[of].wipe + step * (e.shiftKey ? 5 : 1) : { Home: 0, End: 1 }[e.key];
    if (to !== undefined) setWipe(to);
    else if (e.key === 'Escape') host.focus({ preventScroll: true });
    else return;
    e.preventDefault();
    e.stopPropagation();
  });

  function show(state) {
    const side = state[of] && sideOf(state);
    const text = state[of] ? said(state, side) : '';
    flag.hidden = !text;
    if (flag.textContent !== text) flag.textContent = text;
    flag.classList.toggle('off', Boolean(text) && (!side || side === 'before'));
    const at = text && wipeAt(state, state[of].wipe);
    if (at) {
      flag.style.setProperty('--x', `${Math.round(at.left + 8)}px`);
      flag.style.setProperty('--y', `${Math.round(at.top + 8)}px`);
    }
    const hadFocus = document.activeElement === handle;
    handle.hidden = side !== 'both' || !at;
    if (handle.hidden) {
      if (hadFocus) host.focus({ preventScroll: true });
      return;
    }
    handle.style.setProperty('--x', `${at.x}px`);
    handle.style.setProperty('--y', `${at.top}px`);
    handle.style.setProperty('--h', `${at.bottom - at.top}px`);
    const percent = Math.round(state[of].wipe * 100);
    handle.setAttribute('aria-valuenow', String(percent));
    handle.setAttribute('aria-valuetext', t(words.value, { percent }));
  }
  store.on((state, changed) => {
    if ([of, 'frameId', 'view', 'viewport', 'width', 'height', 'map', 'prompt', 'proposal', 'draft', 'playing'].some((key) => changed.has(key))) show(state);
  });
}
