/** How far apart two class colours look, also to colour-blind eyes (Machado, Oliveira, Fernandes 2009, severity 1). */
export const SIMULATIONS = {
  normal: null,
  deutan: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  protan: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  tritan: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};
/** CIE76 difference below which two areas side by side are hard to tell apart. */
export const CLOSE = 12;

const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const encoded = (v) => (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055);
const parse = (hex) => [1, 3, 5].map((i) => linear(Number.parseInt(hex.slice(i, i + 2), 16) / 255));

function seen(hex, matrix) {
  const rgb = parse(hex);
  if (!matrix) return rgb;
  return [0, 3, 6].map((row) => Math.min(1, Math.max(0, matrix[row] * rgb[0] + matrix[row + 1] * rgb[1] + matrix[row + 2] * rgb[2])));
}
export const simulate = (hex, kind) => `#${seen(hex, SIMULATIONS[kind]).map((v) => Math.round(encoded(v) * 255).toString(16).padStart(2, '0')).join('')}`;

function lab([r, g, b]) {
  const f = (v) => (v > 216 / 24389 ? Math.cbrt(v) : (24389 / 27 * v + 16) / 116);
  const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}
export const difference = (a, b, kind = 'normal') => Math.hypot(...lab(seen(a, SIMULATIONS[kind])).map((v, i) => v - lab(seen(b, SIMULATIONS[kind]))[i]));
