/** Theme, language and size: kept in this browser, at work at once. */
import { remember } from '../app.js';

document.getElementById('theme').addEventListener('change', (event) => {
  document.documentElement.dataset.theme = event.target.value;
  remember('pt_theme', event.target.value);
});
document.getElementById('language').addEventListener('change', (event) => {
  remember('pt_language', event.target.value);
  location.reload();
});
const scale = document.getElementById('scale');
scale.value = localStorage.getItem('pt-scale') || '100';
scale.addEventListener('change', () => {
  localStorage.setItem('pt-scale', scale.value);
  document.documentElement.style.zoom = `${scale.value}%`;
});
