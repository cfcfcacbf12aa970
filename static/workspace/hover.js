/** The card above the timeline that shows the frame under the pointer before anybody goes there. It never takes the pointer. */
import { el } from '../canvas/dom.js';

const WAIT_MS = 120;
const PICTURE_MS = 60;

/**
 * @param areas elements over which the card may show
 * @param look (clientX, clientY, area) → {index, lines: [text]} or null
 */
export function mountHover({ root, areas, look, urlOf }) {
  const image = el('img', { alt: '', decoding: 'async' });
  const text = el('div', { class: 'tx' });
  const card = el('div', { class: 'pt-hover', 'aria-hidden': 'true', hidden: true }, image, text);
  root.append(card);
  image.addEventListener('error', () => { image.hidden = true; });
  image.addEventListener('load', () => { image.hidden = false; });
  let waiting = 0;
  let picture = 0;
  let at = null;

  function hide() {
    clearTimeout(waiting);
    clearTimeout(picture);
    waiting = 0;
    card.hidden = true;
    at = null;
  }

  function show() {
    const found = at && look(at.x, at.y, at.area);
    if (!found) {
      hide();
      return;
    }
    card.hidden = false;
    text.replaceChildren(...found.lines.map((line, i) => el(i ? 'span' : 'b', {}, line)));
    const url = urlOf(found.index);
    if (image.getAttribute('src') !== url) {
      clearTimeout(picture);
      picture = setTimeout(() => { image.src = url; }, PICTURE_MS);
    }
    const box = card.getBoundingClientRect();
    const left = Math.min(Math.max(at.x - box.width / 2, 4), innerWidth - box.width - 4);
    card.style.left = `${Math.round(left)}px`;
    // By its lower edge: it grows upwards when the picture comes.
    card.style.bottom = `${Math.round(innerHeight - root.getBoundingClientRect().top + 6)}px`;
  }

  for (const area of areas) {
    area.addEventListener('pointermove', (e) => {
      if (e.pointerType === 'touch') return;
      at = { x: e.clientX, y: e.clientY, area };
      if (!card.hidden) show();
      else if (!waiting) waiting = setTimeout(() => { waiting = 0; show(); }, WAIT_MS);
    });
    area.addEventListener('pointerleave', hide);
  }
  root.addEventListener('keydown', hide);
  addEventListener('blur', hide);
  return { hide };
}
