/** Small DOM builders. Nothing here parses HTML, so user data cannot become markup. */
const SVG = 'http://www.w3.org/2000/svg';

/** el('button', {class: 'btn', onclick: f, 'aria-label': '…'}, child, 'text') */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let sprite = '/static/icons.svg';
export function useSprite(url) { if (url) sprite = url; }

export function icon(id, small = false) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', small ? 'i s' : 'i');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `${sprite}#${id}`);
  svg.append(use);
  return svg;
}

export const kbd = (text) => el('kbd', { class: 'kbd' }, text);

/** Colour swatch; the colour goes in by CSSOM because markup styles are forbidden by the content policy. */
export function swatch(colour) {
  const node = el('span', { class: 'swt', 'aria-hidden': 'true' });
  node.style.setProperty('--c', colour);
  return node;
}

/** One tab stop for a group of controls; arrows move, Home and End jump. */
export function rovingTabindex(group, selector, { vertical = false } = {}) {
  const items = () => [...group.querySelectorAll(selector)].filter((item) => item.offsetParent !== null);
  const mark = (chosen) => { for (const item of items()) item.tabIndex = item === chosen ? 0 : -1; };
  group.addEventListener('focusin', (e) => { if (e.target.matches(selector)) mark(e.target); });
  group.addEventListener('keydown', (e) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const forward = vertical ? 'ArrowDown' : 'ArrowRight';
    const back = vertical ? 'ArrowUp' : 'ArrowLeft';
    const next = { [forward]: at + 1, [back]: at - 1, Home: 0, End: all.length - 1 }[e.key];
    if (next === undefined) return;
    e.preventDefault();
    e.stopPropagation();
    all[(next + all.length) % all.length].focus();
  });
  mark(group.querySelector('[aria-pressed=true]') ?? items()[0]);
}
