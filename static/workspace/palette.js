/** Colours for the canvases of the timeline: the tokens of the page, read again when the theme turns. */

const hex = (value) => [1, 3, 5].map((at) => Number.parseInt(value.slice(at, at + 2), 16));

/** `share` of `colour` over `ground`, both #rrggbb. */
export function mixed(colour, ground, share) {
  const [a, b] = [hex(colour), hex(ground)];
  return `rgb(${a.map((v, i) => Math.round(v * share + b[i] * (1 - share))).join(' ')})`;
}

/** A canvas of `width` × `height` CSS px at the screen's resolution, cleared; its context in CSS px. */
export function cleared(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const c = canvas.getContext('2d');
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  return c;
}

/** Diagonal stripes like the legend's. */
function stripes(line, ground) {
  const ratio = globalThis.devicePixelRatio || 1;
  const side = 8;
  const tile = new OffscreenCanvas(side * ratio, side * ratio);
  const c = tile.getContext('2d');
  c.scale(ratio, ratio);
  c.fillStyle = ground;
  c.fillRect(0, 0, side, side);
  c.strokeStyle = line;
  c.lineWidth = 2.4;
  c.beginPath();
  for (const x of [-side, 0, side]) {
    c.moveTo(x - 1, side + 1);
    c.lineTo(x + side + 1, -1);
  }
  c.stroke();
  const pattern = c.createPattern(tile, 'repeat');
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

export function createPalette(onChange) {
  let known = null;
  const read = () => {
    const styles = getComputedStyle(document.documentElement);
    const token = (name) => styles.getPropertyValue(`--${name}`).trim();
    const [floor, ground] = [token('n-0'), token('n-1')];
    const bars = new Map();
    return {
      floor, ground, tint: token('accent-tint'), accent: token('accent'), line: token('line-soft'), dots: token('n-7'),
      warn: token('warn'), err: token('err'), errTint: token('err-tint'), ok: token('ok'), text2: token('text-2'), text3: token('text-3'),
      todo: token('mark-edge'), done: token('mark-a'), tick: token('mark-b'), mark: token('n-7'), limit: token('text-3'),
      flagged: stripes(token('warn'), token('warn-tint')),
      font: `400 11px ${token('font')}`,
      /** A class's colour as a bar, or, of the sum above its tracks, quieter. */
      bar(colour, sum) {
        const key = `${colour} ${sum}`;
        if (!bars.has(key)) bars.set(key, mixed(colour, floor, sum ? 0.5 : 0.82));
        return bars.get(key);
      },
    };
  };
  for (const query of ['(prefers-color-scheme: light)', '(prefers-contrast: more)']) {
    matchMedia(query).addEventListener('change', () => {
      known = null;
      onChange();
    });
  }
  return () => (known ??= read());
}
