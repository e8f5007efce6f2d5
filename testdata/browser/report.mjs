// Opens reports in a headless Chromium and checks what a reader sees: node report.mjs FOLDER
//
// FOLDER has NAME.html and, for each, NAME.json: {"rows": [names], "plots": [ids]}. FERRY_CHROMIUM names the browser.
// If FERRY_SHOTS names a folder, pictures of all pages are saved there. Every line of the output that begins with "not
// ok" is a fault; the exit code shows whether there was one.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const folder = resolve(process.argv[2]);
const shots = process.env.FERRY_SHOTS;
const widths = [420, 800, 1280];
const contrastWidth = 1280; // contrast is measured only at this width, because it does not depend on the width
const schemes = ['light', 'dark'];
const timeout = 300_000; // ms: longer means a hang, even on a busy machine

// measure runs inside the page and returns the facts to check.
function measure(deep) {
  const seen = (e) => e.checkVisibility() && !e.closest('.hidden, thead');
  const rows = [...document.querySelectorAll('#results-table tbody tr[data-row]')];
  const plots = [...document.querySelectorAll('[data-plot]')].map((plot) => {
    const svg = plot.querySelector('svg[role=img]');
    const box = svg.getBoundingClientRect();
    const labels = svg.getAttribute('aria-labelledby').split(' ').map((id) => document.getElementById(id)?.textContent ?? '');
    const marks = [...svg.querySelectorAll('path, rect, circle, line:not(.grid), text:not(.level)')];
    const drawn = marks.filter((m) => m.getBoundingClientRect().width + m.getBoundingClientRect().height > 2).length;
    return { id: plot.dataset.plot, width: box.width, height: box.height, labels, drawn };
  });
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  const wide = [...document.querySelectorAll('main *')].filter((e) => {
    const box = e.getBoundingClientRect();
    return seen(e) && !e.closest('.scroll') && box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5);
  });
  const pale = !deep ? [] : [...document.querySelectorAll('main *')].filter((e) => {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    return own && seen(e) && !['title', 'desc'].includes(e.tagName) && contrast(e) < 4.5; // WCAG AA
  });
  const name = (e) => `${e.tagName}.${e.getAttribute('class')}: ${e.textContent.slice(0, 40)}`;

  function channels(colour) {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  }
  function luminance({ r, g, b }) {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }
  function contrast(e) {
    const style = getComputedStyle(e);
    const ink = channels(e instanceof SVGElement ? style.fill : style.color);
    let under = e;
    while (under && channels(getComputedStyle(under).backgroundColor).a === 0) under = under.parentElement;
    const ground = under ? channels(getComputedStyle(under).backgroundColor) : { r: 255, g: 255, b: 255 };
    const [low, high] = [luminance(ink), luminance(ground)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  }
  return {
    rows: rows.map((r) => r.querySelector('bdi').textContent),
    shown: rows.every((r) => seen(r) && r.getBoundingClientRect().height > 10),
    plots,
    ground: getComputedStyle(document.body).backgroundColor,
    overflow: document.documentElement.scrollWidth - innerWidth,
    wide: wide.slice(0, 3).map(name),
    pale: pale.slice(0, 3).map(name),
    twice: ids.filter((id, i) => ids.indexOf(id) !== i),
    foreign: [...document.querySelectorAll('script, img, iframe, link, object, embed, a, form, image, use, foreignObject')].map(name),
  };
}

// faults returns what is wrong with a measured page.
function faults(seen, expected) {
  const all = [];
  const same = (what, have, want) => {
    if (JSON.stringify(have) !== JSON.stringify(want)) all.push(`${what}: ${JSON.stringify(have)}, not ${JSON.stringify(want)}`);
  };
  same('rows', seen.rows, expected.rows);
  same('plots', seen.plots.map((p) => p.id), expected.plots);
  if (!seen.shown) all.push('a row of the results is not shown');
  for (const p of seen.plots) {
    if (p.width < 250 || p.height < 20) all.push(`${p.id} is ${p.width} × ${p.height}`);
    if (p.drawn === 0) all.push(`${p.id} is empty`);
    if (p.labels.length !== 2 || p.labels.includes('')) all.push(`${p.id} has no description`);
  }
  same('overflow', seen.overflow, 0);
  for (const what of ['wide', 'pale', 'twice', 'foreign']) same(what, seen[what], []);
  return all;
}

const profile = mkdtempSync(join(folder, 'profile-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.FERRY_CHROMIUM ?? 'chromium',
  headless: true,
  timeout,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
context.setDefaultTimeout(timeout);
const page = await context.newPage();
let noise = [];
page.on('console', (message) => noise.push(`console: ${message.text()}`));
page.on('pageerror', (error) => noise.push(`page error: ${error.message}`));
await context.route('**/*', (route) => {
  const url = route.request().url();
  if (route.request().isNavigationRequest() && url.startsWith(pathToFileURL(folder).href)) return route.continue();
  noise.push(`request: ${url}`);
  return route.abort();
});

// look opens a page at one width and colour scheme, and returns what is wrong with it.
async function look(file, expected, width, scheme) {
  noise = [];
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme: scheme });
  await page.goto(pathToFileURL(file).href, { waitUntil: 'load' });
  const seen = await page.evaluate(measure, width === contrastWidth);
  return { ground: seen.ground, faults: [...faults(seen, expected), ...noise] };
}

// control is a page with every kind of fault. If a check finds nothing there, the check does not work.
const control = `<!DOCTYPE html><main><p id=a style="width:3000px;color:#999">wide and pale</p><p id=a>twice</p>
<img src="http://127.0.0.1:9/x.png"><script>console.error('said'); throw new Error('thrown')</script></main>`;

async function checkControl() {
  const file = join(folder, 'control.html');
  writeFileSync(file, control);
  const { faults: found } = await look(file, { rows: ['x'], plots: ['y'] }, contrastWidth, 'light');
  const kinds = ['rows', 'plots', 'overflow', 'wide', 'pale', 'twice', 'foreign', 'console: said', 'page error: thrown',
    'request: http://127.0.0.1:9/x.png'];
  return kinds.filter((kind) => !found.some((f) => f.startsWith(kind))).map((kind) => `the check finds no ${kind}`);
}

let failed = 0;
function report(name, found) {
  console.log(`${found.length ? 'not ok' : 'ok'} ${name}`);
  for (const fault of found) console.log(`  ${fault}`);
  failed += found.length;
}

try {
  report('control', await checkControl());
  const names = readdirSync(folder).filter((f) => f.endsWith('.json')).map((f) => f.slice(0, -5)).sort();
  if (names.length === 0) report('pages', ['there are none']);
  for (const name of names) {
    const expected = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
    const grounds = new Set();
    for (const scheme of schemes) {
      for (const width of widths) {
        const { ground, faults: found } = await look(join(folder, `${name}.html`), expected, width, scheme);
        grounds.add(ground);
        report(`${name} ${scheme} ${width}`, found);
        if (shots) await page.screenshot({ path: join(shots, `${name}-${scheme}-${width}.png`), fullPage: true });
      }
    }
    report(`${name} schemes`, grounds.size === schemes.length ? [] : ['light and dark look the same']);
  }
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
