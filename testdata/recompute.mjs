// Recomputes every figure of a bench report from the saved runs only, and compares it with the report in each form. It
// shares no code with ferry and needs no packages.
//
//   node recompute.mjs FOLDER RUN.jsonl…
//
// FOLDER has the report as report.json, report.csv, report.prom, report.md, report.txt, report.html and report.xml. The
// program prints what is wrong and then how many figures it compared.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const report = (name) => readFileSync(join(folder, "report." + name), "utf8");
const wrong = [];
let compared = 0;

// check compares a figure with its expected value; half is the largest difference that rounding may cause.
function check(what, got, want, half) {
  compared++;
  const none = (v) => v === null || v === undefined || v === "" || (typeof v === "number" && !Number.isFinite(v));
  if (none(got) && none(want)) return;
  const same = typeof want === "number" && !none(got) && !none(want) ? Math.abs(Number(got) - want) <= half * (1 + 1e-6) + Math.abs(want) * 1e-12 : got === want;
  if (!same) wrong.push(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

// ---- the saved runs

const runs = files.map((file) => {
  const lines = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  return { header: lines[0], requests: lines.filter((l) => l.attempts), end: lines.find((l) => l.end) ?? {} };
});
const header = runs[0].header;
const started = Math.min(...runs.map((r) => Date.parse(r.header.started)));
const lastStarted = Math.max(...runs.map((r) => Date.parse(r.header.started)));
const place = (r) => r.header.vantage ?? "";
const vantages = [...new Set(runs.map(place))];
const elapsedOf = new Map(); // for several parts of one run, the longest counts
for (const r of runs) elapsedOf.set(r.header.id, Math.max(elapsedOf.get(r.header.id) ?? 0, (r.end.elapsed_ns ?? 0) / 1e9));
const elapsed = [...elapsedOf.values()].reduce((a, b) => a + b, 0);
const open = header.rate > 0;

const series = [];
for (const vantage of vantages) {
  for (const r of runs.filter((r) => place(r) === vantage)) {
    r.header.nodes.forEach((node, i) => {
      let s = series.find((s) => s.vantage === vantage && s.node.node === node.node && s.node.connection === node.connection);
      if (!s) series.push((s = { vantage, node, requests: [], ids: new Set(), unsent: 0, ended: "" }));
      s.requests.push(...r.requests.filter((q) => q.node === i).map((q) => ({ ...q, run: r.header.id, began: Date.parse(r.header.started) + q.start_ns / 1e6 })));
      s.ids.add(r.header.id);
      s.unsent += r.end.unsent?.[i] ?? 0;
      s.ended ||= r.end.ended?.[i] ?? "";
    });
  }
}

// ---- statistics

function rank(sorted, percent) {
  return sorted[Math.max(Math.ceil((sorted.length * percent) / 100 - 1e-9), 1) - 1];
}

function describe(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  if (n === 0) return null;
  const mean = sorted.reduce((a, b) => a + b, 0) / n;
  const sd = n > 1 ? Math.sqrt(sorted.reduce((a, v) => a + (v - mean) ** 2, 0) / (n - 1)) : NaN;
  const percentile = (p) => (n >= 3 ? rank(sorted, p) : NaN);
  return { n, mean, sd, min: sorted[0], p50: percentile(50), p90: percentile(90), p95: percentile(95), p99: percentile(99), max: sorted[n - 1], sorted };
}

// phi is the normal distribution function, calculated by a series, and for |x| > 5 by a continued fraction of the
// tail. quantile is its inverse.
function phi(x) {
  if (Math.abs(x) > 5) {
    let fraction = Math.abs(x);
    for (let k = 200; k > 0; k--) fraction = Math.abs(x) + k / fraction;
    const tail = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / fraction;
    return x > 0 ? 1 - tail : tail;
  }
  let term = x, sum = x;
  for (let i = 1; Math.abs(term) > 1e-18 * Math.abs(sum) && i < 500; i++) sum += term *= (x * x) / (2 * i + 1);
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
function quantile(p) {
  let low = -8, high = 8;
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (phi(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function wilson(ok, n) {
  if (n === 0) return { value: NaN, low: 0, high: 1 };
  const z = quantile(0.975), p = ok / n, scale = 1 + (z * z) / n;
  const half = (z / scale) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  const centre = (p + (z * z) / (2 * n)) / scale;
  return { value: p, low: ok === 0 ? 0 : centre - half, high: ok === n ? 1 : centre + half };
}

// compare returns Wilcoxon's signed-rank test of log ratios, and the interval of ratios that the test does not reject.
function compare(logs, level) {
  const values = logs.filter((v) => v !== 0);
  const c = { pairs: logs.length, ratio: 1, low: 0, high: Infinity, p: 1, level, verdict: "no difference shown" };
  if (values.length === 0) return logs.length >= 6 ? { ...c, low: 1, high: 1 } : c;
  const n = values.length;
  const sizes = values.map(Math.abs).sort((a, b) => a - b);
  const doubledRank = (size) => sizes.indexOf(size) + sizes.lastIndexOf(size) + 2;
  const minus = values.filter((v) => v < 0).reduce((a, v) => a + doubledRank(-v), 0);
  const total = n * (n + 1);
  let critical = -1;
  if (n <= 50) {
    let ways = [1];
    for (const size of sizes) {
      const by = doubledRank(size), next = new Array(ways.length + by).fill(0);
      ways.forEach((w, i) => { next[i] += w; next[i + by] += w; });
      ways = next;
    }
    let sum = 0;
    for (let s = 0; s <= Math.floor(total / 2); s++) {
      sum += ways[s] ?? 0;
      const p = Math.min(1, (2 * sum) / 2 ** n);
      if (p < level) critical = s;
      if (s === Math.min(minus, total - minus)) c.p = p;
    }
  } else {
    const tied = [...new Set(sizes)].map((s) => sizes.lastIndexOf(s) - sizes.indexOf(s) + 1).reduce((a, t) => a + t ** 3 - t, 0);
    const sd = 2 * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24 - tied / 48);
    c.p = Math.min(1, 2 * phi(-Math.max(0, (Math.abs(minus - total / 2) - 1) / sd)));
    critical = Math.ceil(total / 2 - 1 - quantile(1 - level / 2) * sd) - 1;
  }
  const averages = [];
  for (let i = 0; i < n; i++) for (let j = i; j < n; j++) averages.push((values[i] + values[j]) / 2);
  averages.sort((a, b) => a - b);
  const m = averages.length;
  c.ratio = Math.exp((averages[(m - 1) >> 1] + averages[m >> 1]) / 2);
  if (critical < 0) return c;
  const k = Math.floor(critical / 2);
  c.low = Math.exp(averages[k]);
  c.high = Math.exp(averages[m - 1 - k]);
  if (minus <= critical) c.verdict = "slower";
  else if (total - minus <= critical) c.verdict = "faster";
  return c;
}

function holm(ps) {
  const order = ps.map((_, i) => i).sort((a, b) => ps[a] - ps[b] || a - b);
  const levels = [];
  let level, failed = false;
  order.forEach((i, k) => {
    if (!failed) level = 0.05 / (ps.length - k);
    levels[i] = level;
    failed ||= ps[i] >= level;
  });
  return levels;
}

// ---- the figures of each row

const blames = { client: ["usage", "plain_http", "4xx", "output", "cancelled", "limited"], origin: ["5xx", "stopped", "refused", "empty", "thinking"] };
const blame = (c) => Object.keys(blames).find((who) => blames[who].includes(c)) ?? "node";
const latency = (q) => (q.latency_ns + (open ? (q.lag_ns ?? 0) : 0)) / 1e6;
const firstText = (q) => (q.ttft_ns > 0 ? (q.ttft_ns + (open ? (q.lag_ns ?? 0) : 0)) / 1e6 : -1);
function timeBetweenTokens(q) {
  const text = q.text_tokens ?? 0, chunks = q.chunks ?? 0, rest = (q.latency_ns - (q.ttft_ns ?? 0)) / 1e6;
  if (text < 10 || chunks < 3 || !q.ttft_ns) return NaN;
  if (rest < q.latency_ns / 1e6 / 20 && rest < Math.max(text, chunks) * 0.2) return NaN;
  return rest / (text - text / chunks);
}
const numbers = (all, of) => describe(all.map(of).filter((v) => Number.isFinite(v) && v > 0));
const bounds = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 60000, 120000];

const rows = series.map((s) => {
  const ok = s.requests.filter((q) => !q.class);
  const row = { ...s, n: s.requests.length, ok: ok.length, firstOK: ok.filter((q) => q.attempts === 1).length, good: ok };
  row.success = wilson(row.ok, row.n);
  row.firstSuccess = wilson(row.firstOK, row.n);
  row.latency = describe(ok.map(latency));
  row.ttft = numbers(ok, firstText);
  row.itl = numbers(ok, timeBetweenTokens);
  row.decode = numbers(ok, (q) => 1000 / timeBetweenTokens(q));
  row.tps = numbers(ok, (q) => (q.tokens ?? 0) / (q.latency_ns / 1e9));
  row.tokens = numbers(ok, (q) => q.tokens ?? 0);
  row.uncorrected = open ? describe(ok.map((q) => q.latency_ns / 1e6)) : null;
  row.lag = open ? describe(ok.map((q) => (q.lag_ns ?? 0) / 1e6)) : null;
  row.fresh = s.requests.filter((q) => q.fresh).length;
  row.phases = Object.fromEntries(["dns", "connect", "tls", "wait", "transfer"].map((name) =>
    [name, ok.length ? ok.reduce((a, q) => a + (q.phases_ns?.[name] ?? 0), 0) / ok.length / 1e6 : NaN]));
  row.failures = {};
  for (const q of s.requests) if (q.class) (row.failures[q.class] ??= []).push(latency(q));
  const time = [...s.ids].reduce((a, id) => a + elapsedOf.get(id), 0);
  row.perSecond = row.n / time;
  row.inFlight = s.requests.reduce((a, q) => a + q.latency_ns / 1e9, 0) / time;
  return row;
});

const ttft = rows.some((r) => r.ttft) && rows.every((r) => r.ttft || r.ok === 0);
const figure = ttft ? firstText : latency;
const headline = (r) => (ttft ? r.ttft : r.latency);
const models = new Set(rows.map((r) => r.node.model));

function against(mine, theirs, level) {
  const other = new Map(theirs.good.map((q) => [q.run + " " + q.round, figure(q)]));
  const logs = [];
  for (const q of mine.good) {
    const a = figure(q), b = other.get(q.run + " " + q.round);
    if (b === undefined || a < 0 || b < 0) continue;
    logs.push(a === b ? 0 : Math.log(Math.max(a, 1e-6) / Math.max(b, 1e-6)));
  }
  return logs.length ? compare(logs, level) : null;
}

function referenceOf(row) {
  const group = rows.filter((r) => r.vantage === row.vantage && r.node.connection === row.node.connection);
  const named = group.find((r) => r.node.node === header.reference);
  return named && named.ok === 0 ? group.find((r) => r.ok > 0) : named;
}

let best = [];
if (models.size === 1) {
  const pairs = rows.map((r) => [r, referenceOf(r)]).filter(([r, ref]) => ref && ref !== r && against(r, ref, 0.05));
  const levels = holm(pairs.map(([r, ref]) => against(r, ref, 0.05).p));
  pairs.forEach(([r, ref], k) => {
    r.versus = against(r, ref, levels[k]);
    r.versus.reference = ref;
  });
  for (const vantage of vantages) {
    let able = rows.filter((r) => r.vantage === vantage && r.ok > 0 && r.n > 1 &&
      !(r.ended && Object.keys(r.failures).some((c) => blame(c) === "client")));
    able = able.filter((r) => r.node.connection === able[0].node.connection);
    const floor = Math.max(...able.map((r) => r.success.low));
    able = able.filter((r) => r.success.value >= floor);
    if (able.length === 0) continue;
    const versus = (a, b) => against(a, b, 0.05) ?? { ratio: 1, p: 1 };
    const typical = (r) => (headline(r).n >= 3 ? headline(r).p50 : headline(r).mean);
    let leader = able[0];
    for (const r of able.slice(1)) {
      const { ratio } = versus(r, leader);
      if (ratio < 1 || (ratio === 1 && typical(r) < typical(leader))) leader = r;
    }
    const others = able.filter((r) => r !== leader);
    const ps = others.map((r) => { const c = versus(r, leader); return c.ratio > 1 ? c.p : 1; });
    const levels = holm(ps);
    best.push({ vantage, rows: able.filter((r) => r === leader || ps[others.indexOf(r)] >= levels[others.indexOf(r)]) });
  }
}
const isBest = (r) => best.some((b) => b.rows.includes(r));
const twoKinds = new Set(rows.map((r) => r.node.connection)).size > 1;
const title = (r) => r.node.node + (twoKinds ? ` (${r.node.connection})` : "") + (vantages.length > 1 ? " @" + r.vantage : "");
const names = ["mean", "sd", "min", "p50", "p90", "p95", "p99", "max"];

// ---- JSON

function checkStats(what, got, want) {
  if (!want) return check(what, got, null);
  check(what + ".n", got?.n, want.n, 0);
  for (const name of names) check(`${what}.${name}`, got?.[name], want[name], 0.0005);
}

const json = JSON.parse(report("json"));
check("started", Date.parse(json.started), started, 0.5);
if (runs.length > 1) check("last_started", Date.parse(json.last_started), lastStarted, 0.5);
check("elapsed_s", json.elapsed_s, elapsed, 0.0005);
check("runs", json.runs, elapsedOf.size, 0);
check("figure", json.figure, ttft ? "ttft" : "latency");
check("seed", json.seed, runs.every((r) => r.header.seed === header.seed) ? header.seed : 0, 0);
check("nodes", json.nodes.length, rows.length, 0);
check("best_nodes", JSON.stringify(json.best_nodes.map((b) => b.nodes)), JSON.stringify(best.map((b) => b.rows.map((r) => r.node.node))));
rows.forEach((r, i) => {
  const j = json.nodes[i], what = "json " + title(r);
  for (const [name, want, half] of [["requests", r.n, 0], ["ok", r.ok, 0], ["first_ok", r.firstOK, 0], ["success_rate", r.success.value, 5e-7],
    ["first_success_rate", r.firstSuccess.value, 5e-7], ["requests_per_second", r.perSecond, 5e-4], ["in_flight", r.inFlight, 5e-4],
    ["fresh", r.fresh || undefined, 0], ["unsent", r.unsent || undefined, 0]]) check(`${what} ${name}`, j[name], want, half);
  for (const [name, rate] of [["success_ci", r.success], ["first_success_ci", r.firstSuccess]]) {
    check(`${what} ${name} low`, j[name][0], rate.low, 5e-7);
    check(`${what} ${name} high`, j[name][1], rate.high, 5e-7);
  }
  for (const [name, want] of [["latency_ms", r.latency], ["ttft_ms", r.ttft], ["itl_ms", r.itl], ["decode_tokens_per_second", r.decode],
    ["tokens_per_second", r.tps], ["answer_tokens", r.tokens], ["uncorrected_ms", r.uncorrected], ["lag_ms", r.lag]]) {
    if (name === "latency_ms" && !want) check(what + " latency n", j[name].n, 0, 0);
    else checkStats(`${what} ${name}`, j[name], want);
  }
  for (const name in r.phases) check(`${what} phases ${name}`, j.phases_ms[name], r.phases[name], 5e-4);
  check(what + " failures", j.failures.length, Object.keys(r.failures).length, 0);
  for (const f of j.failures) {
    check(`${what} ${f.class} count`, f.count, r.failures[f.class]?.length, 0);
    check(`${what} ${f.class} errors`, j.errors[f.class], r.failures[f.class]?.length, 0);
    check(`${what} ${f.class} blame`, f.blame, blame(f.class));
    checkStats(`${what} ${f.class}`, f.latency_ms, describe(r.failures[f.class] ?? []));
  }
  const v = j.vs_reference;
  check(what + " compared", v !== null, r.versus !== undefined);
  if (!v || !r.versus) return;
  check(what + " reference", v.reference, r.versus.reference.node.node);
  for (const [name, got, want, half] of [["ratio", v.paired_ratio, r.versus.ratio, 5e-7], ["low", v.ci[0], r.versus.low, 5e-7], ["high", v.ci[1], r.versus.high, 5e-7],
    ["pairs", v.pairs, r.versus.pairs, 0], ["p", v.p, r.versus.p, 1e-9], ["level", v.level, r.versus.level, 1e-12],
    ["reference_p50", v.reference_p50_ms, headline(r.versus.reference).p50, 5e-4]]) check(`${what} ${name}`, got, want, half);
  check(what + " verdict", v.verdict, r.versus.verdict);
});

const days = lastStarted - started >= 24 * 3600e3;
if (days) {
  const [, sign, h, m] = /UTC([+-])(\d\d):(\d\d)/.exec(json.hours_zone);
  const zone = (sign === "-" ? -1 : 1) * (h * 60 + +m) * 60e3;
  rows.forEach((r, i) => {
    const hours = new Map();
    for (const q of r.requests) {
      const hour = new Date(q.began + zone).getUTCHours();
      hours.set(hour, [...(hours.get(hour) ?? []), q]);
    }
    const shown = json.nodes[i].hours ?? []; // a single hour is not shown
    check(title(r) + " hours", shown.length, hours.size > 1 ? hours.size : 0, 0);
    for (const hour of shown) {
      const all = hours.get(hour.hour) ?? [], good = all.filter((q) => !q.class);
      check(`${title(r)} ${hour.hour} h requests`, hour.requests, all.length, 0);
      check(`${title(r)} ${hour.hour} h ok`, hour.ok, good.length, 0);
      check(`${title(r)} ${hour.hour} h p50`, hour.p50_ms, describe(good.map(figure).filter((v) => v >= 0))?.p50, 5e-4);
    }
  });
}

// ---- CSV

const [titles, ...cells] = report("csv").trim().split("\n").map((line) => line.split(","));
check("csv rows", cells.length, rows.length, 0);
rows.forEach((r, i) => {
  const cell = Object.fromEntries(titles.map((name, k) => [name, cells[i][k]]));
  const want = {
    requests: [r.n, 0], ok: [r.ok, 0], success_rate: [r.success.value, 5e-5], success_low: [r.success.low, 5e-5], success_high: [r.success.high, 5e-5],
    first_success_rate: [r.firstSuccess.value, 5e-5], ttft_p50_ms: [r.ttft?.p50, 5e-4], ttft_p95_ms: [r.ttft?.p95, 5e-4], itl_mean_ms: [r.itl?.mean, 5e-4],
    decode_tokens_per_second: [r.decode?.mean, 5e-4], tokens_per_second: [r.tps?.mean, 5e-4], answer_tokens: [r.tokens?.mean, 5e-4],
    requests_per_second: [r.perSecond, 5e-4], in_flight: [r.inFlight, 5e-4],
    uncorrected_p50_ms: [r.uncorrected?.p50, 5e-4], uncorrected_p99_ms: [r.uncorrected?.p99, 5e-4], lag_p50_ms: [r.lag?.p50, 5e-4], lag_p99_ms: [r.lag?.p99, 5e-4],
    pairs: [r.versus?.pairs, 0], paired_ratio: [r.versus?.ratio, 5e-5], paired_ratio_low: [r.versus?.low, 5e-5], paired_ratio_high: [r.versus?.high, 5e-5],
    p: [r.versus?.p, (r.versus?.p ?? 0) * 5e-3], level: [r.versus?.level, 5e-5], reference_p50_ms: [r.versus && headline(r.versus.reference).p50, 5e-4],
  };
  for (const name of names) want[name + "_ms"] = [r.latency?.[name], 5e-4];
  for (const name in r.phases) want[name + "_ms"] = [r.phases[name], 5e-4];
  const words = ["node", "label", "connection", "vantage", "url_host", "api", "model", "errors", "reference", "figure", "shapes_differ", "verdict"];
  for (const name of titles) {
    if (want[name]) check(`csv ${title(r)} ${name}`, cell[name] === "" ? "" : Number(cell[name]), want[name][0], want[name][1]);
    else if (!words.includes(name)) wrong.push(`csv: nothing is known of the column ${name}`);
  }
  check(`csv ${title(r)} verdict`, cell.verdict, r.versus?.verdict ?? "");
  check(`csv ${title(r)} errors`, cell.errors.split(" ").filter(Boolean).sort().join(" "),
    Object.entries(r.failures).map(([c, all]) => `${c}=${all.length}`).sort().join(" "));
});

// ---- Prometheus

const rowsOf = (labels) => rows.find((r) => r.node.node === labels.node && r.node.connection === labels.connection && r.vantage === (labels.vantage ?? ""));
const versusAt = (name) => (r, l) => (l.reference === r.versus.reference.node.node ? r.versus[name] : NaN);
const metrics = {
  requests_total: (r) => r.n, successes_total: (r) => r.ok, unsent_total: (r) => r.unsent, failures_total: (r, l) => r.failures[l.class]?.length,
  success_ratio: (r) => r.success.value, success_ratio_low: (r) => r.success.low, success_ratio_high: (r) => r.success.high,
  itl_mean_seconds: (r) => r.itl.mean / 1000, decode_tokens_per_second: (r) => r.decode.mean, tokens_per_second: (r) => r.tps.mean, answer_tokens: (r) => r.tokens.mean,
  lag_percentile_seconds: (r, l) => r.lag["p" + l.percentile] / 1000, requests_per_second: (r) => r.perSecond, in_flight_requests: (r) => r.inFlight,
  paired_ratio: versusAt("ratio"), paired_ratio_low: versusAt("low"), paired_ratio_high: versusAt("high"), best: (r) => (isBest(r) ? 1 : 0),
  last_run_timestamp_seconds: () => lastStarted / 1000, elapsed_seconds: () => elapsed, info: () => 1,
};
for (const name of ["latency", "ttft"]) {
  metrics[name + "_seconds_bucket"] = (r, l) => r[name].sorted.filter((v) => v <= (l.le === "+Inf" ? Infinity : Number(l.le) * 1000 * (1 + 1e-12))).length;
  metrics[name + "_seconds_sum"] = (r) => (r[name].mean * r[name].n) / 1000;
  metrics[name + "_seconds_count"] = (r) => r[name].n;
  metrics[name + "_mean_seconds"] = (r) => r[name].mean / 1000;
  metrics[name + "_percentile_seconds"] = (r, l) => r[name]["p" + l.percentile] / 1000;
}
const seen = {};
for (const line of report("prom").trim().split("\n")) {
  if (line.startsWith("#")) continue;
  const [, name, raw, value] = /^ferry_bench_([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
  const labels = Object.fromEntries([...(raw ?? "").matchAll(/([a-z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map((m) => [m[1], m[2]]));
  if (!metrics[name]) { wrong.push("prometheus: nothing is known of " + name); continue; }
  check("prometheus " + line, Number(value), metrics[name](labels.node === undefined ? undefined : rowsOf(labels), labels), 1e-8);
  seen[name] = (seen[name] ?? 0) + 1;
}
const answered = rows.filter((r) => r.ok > 0);
for (const [name, want] of Object.entries({
  requests_total: rows.length, successes_total: rows.length, failures_total: rows.reduce((a, r) => a + Object.keys(r.failures).length, 0),
  latency_seconds_bucket: answered.length * (bounds.length + 1), ttft_seconds_bucket: rows.filter((r) => r.ttft).length * (bounds.length + 1),
  paired_ratio: rows.filter((r) => r.versus).length, in_flight_requests: rows.length,
})) check("lines of " + name, seen[name] ?? 0, want, 0);

// ---- text and Markdown: each number is correct to the digits shown

const factors = { ms: 1, s: 1000, "%": 0.01, "": 1 };
function checkShown(what, cell, want) {
  const m = /^([0-9.]+) ?(ms|s|%|)$/.exec(cell ?? "");
  if (!m) return check(what, cell, Number.isFinite(want) ? want : cell === "–" || cell === "" || cell === undefined ? cell : null, 0);
  const digits = m[1].split(".")[1]?.length ?? 0;
  check(what, Number(m[1]) * factors[m[2]], want, 0.5 * 10 ** -digits * factors[m[2]] + 1e-9);
}
function checkInterval(what, cell, rate) {
  const [low, high] = cell.replace(/ ?%$/, "").split("–");
  checkShown(what + " low", low + "%", rate.low);
  checkShown(what + " high", high + "%", rate.high);
}
const columns = {
  p50: (r) => r.latency?.p50, p90: (r) => r.latency?.p90, p95: (r) => r.latency?.p95, p99: (r) => r.latency?.p99,
  "latency mean": (r) => r.latency?.mean, mean: (r) => r.latency?.mean, sd: (r) => r.latency?.sd,
  min: (r) => r.latency?.min, max: (r) => r.latency?.max, success: (r) => r.success.value, "1st attempt": (r) => r.firstSuccess.value,
  "latency p50": (r) => r.latency?.p50, "latency p95": (r) => r.latency?.p95, "latency p99": (r) => r.latency?.p99,
  "ITL mean": (r) => r.itl?.mean, "decode/s": (r) => r.decode?.mean, "tokens/s": (r) => r.tps?.mean, "tokens/answer": (r) => r.tokens?.mean,
  "requests/s": (r) => r.perSecond, "in flight": (r) => r.inFlight, "not sent": (r) => r.unsent,
  "TTFT mean": (r) => r.ttft?.mean, "mean TTFT": (r) => r.ttft?.mean, "mean latency": (r) => r.latency?.mean, "success rate": (r) => r.success.value, requests: (r) => r.n,
};
for (const p of ["p50", "p95", "p99"]) {
  columns["TTFT " + p] = (r) => r.ttft?.[p];
  columns["intended " + p] = (r) => r.latency?.[p];
  columns["actual " + p] = (r) => r.uncorrected?.[p];
  columns["lag " + p] = (r) => r.lag?.[p];
}
const phaseColumns = { DNS: "dns", connect: "connect", TLS: "tls", wait: "wait", transfer: "transfer" };
for (const name in phaseColumns) columns[name] = (r) => r.phases[phaseColumns[name]] || undefined;

// A table is a line of titles that begins with node, and the lines below it; columns end where their titles end.
const text = report("txt").split("\n");
let tables = 0;
text.forEach((line, at) => {
  if (!/^node\s/.test(line) || /\bclass\b/.test(line) || /UTC/.test(line)) return;
  tables++;
  const titles = line.split(/ {2,}/);
  for (const shown of text.slice(at + 1)) {
    if (!shown.trim() || !rows.some((r) => shown.startsWith(title(r)))) break;
    const row = rows.find((r) => shown === title(r) || shown.startsWith(title(r) + "  "));
    const ends = [];
    let end = 0;
    for (const name of titles) ends.push((end = line.indexOf(name, end) + name.length));
    titles.slice(1).forEach((name, k) => {
      const cell = shown.slice(k === 0 ? title(row).length : ends[k], ends[k + 1]).trim(), what = `text ${title(row)} ${name}`;
      if (name === "95 % CI") checkInterval(what, cell, row.success);
      else if (name === "ok") check(what, cell, `${row.ok}/${row.n}`);
      else if (name === "label") check(what, cell, row.node.label ?? "");
      else if (columns[name]) checkShown(what, cell, columns[name](row));
      else wrong.push("text: nothing is known of the column " + name);
    });
  }
});
check("tables of the text, two and more", tables >= 2, true);

const ratio = (c) => new RegExp(`([0-9.]+) × its ${ttft ? "TTFT" : "latency"} \\(paired, 95 % CI ([0-9.]+)–([0-9.]+)`).exec(c);
for (const [form, line] of [["text", (r) => text.find((l) => l.startsWith(title(r) + ": "))],
  ["markdown", (r) => report("md").replaceAll("\\", "").split("\n").find((l) => l.startsWith(`- ${title(r)}: `) && !l.includes(": failed: "))]]) {
  for (const r of rows) {
    const said = line(r) ?? "", what = `${form} ${title(r)} says ${said}`;
    if (r.ok === 0) { check(what, said.includes(`no success in ${r.n} request`), true); continue; }
    const [, rate, interval] = /success ([0-9.]+ %) \(([^)]*)\)/.exec(said) ?? [];
    checkShown(what, rate, r.success.value);
    checkInterval(what, interval ?? "", r.success);
    if (r.tokens) checkShown(what, /([0-9.]+) tokens\/answer/.exec(said)?.[1], r.tokens.mean);
    const p50 = /p50 ([0-9.]+ m?s)/.exec(said)?.[1];
    if (r.ok >= 3) checkShown(what, p50, headline(r).p50);
    if (r.versus && Number.isFinite(r.versus.high)) {
      const m = ratio(said) ?? [];
      checkShown(what + ": ratio", m[1], r.versus.ratio);
      checkShown(what + ": low", m[2], r.versus.low);
      checkShown(what + ": high", m[3], r.versus.high);
      check(what, said.includes(r.versus.verdict), true);
    } else if (r.versus) check(what, said.includes(`too few answers to compare with ${r.versus.reference.node.node} (${r.versus.pairs} pair`), true);
  }
}

const table = report("md").replaceAll("\\", "").split("\n").filter((l) => l.startsWith("| ")).map((l) => l.slice(2, -2).split(" | "));
rows.forEach((r, i) => table[0].forEach((name, k) => {
  const cell = table[i + 1]?.[k], what = `markdown ${title(r)} ${name}`;
  if (name === "access") check(what, cell, title(r));
  else if (name === "success 95 % CI") checkInterval(what, cell, r.success);
  else if (name === "vs reference") {
    const m = /^([0-9.]+) × \(([0-9.]+)–([0-9.]+)\), (.*)$/.exec(cell);
    if (r.versus && Number.isFinite(r.versus.high)) ["ratio", "low", "high"].forEach((n, j) => checkShown(what + " " + n, m?.[j + 1], r.versus[n]));
    const verdict = r.versus?.high === Infinity ? "too few answers" : r.versus?.verdict;
    check(what, m?.[4] ?? cell, verdict ?? (models.size === 1 && rows.some((o) => o.versus?.reference === r) ? "reference" : cell));
  } else if (columns[name] || /^p\d\d$/.test(name)) checkShown(what, cell, columns[name](r));
  else wrong.push("markdown: nothing is known of the column " + name);
}));

// ---- HTML: the tables

const entities = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&#34;": '"', "&#39;": "'", "&nbsp;": " ", "\u00a0": " " };
const plain = (s) => s.replace(/<[^>]*>/g, "").replace(/&[a-z0-9#]+;|\u00a0/g, (e) => entities[e] ?? e).trim();
const html = report("html");
const groups = [[/first token \(TTFT\)/, "ttft"], [/inter-token latency/, "itl"], [/after the first text/, "decode"], [/tokens per second/, "tps"],
  [/tokens per answer/, "tokens"], [/actual start/, "uncorrected"], [/start delay/, "lag"]];
const shownRows = { results: 0, failures: 0 };
for (const section of ["results", "measures", "failures"]) {
  const body = html.split(`<section id="${section}">`)[1]?.split("</section>")[0] ?? "";
  let of = "latency";
  for (const [line] of body.matchAll(/<tr role="row" (?:data-row|class="group").*?<\/tr>/gs)) {
    if (line.includes('class="group"')) { of = groups.find(([words]) => words.test(plain(line)))?.[1]; continue; }
    shownRows[section]++;
    const [heading, ...tds] = line.split(/(?=<td )/);
    const tags = [...heading.matchAll(/<span class="tag">(.*?)<\/span>/g)].map((m) => plain(m[1]));
    const r = rows.find((r) => r.node.node === plain(/<bdi>(.*?)<\/bdi>/.exec(heading)[1]) &&
      (!twoKinds || tags.includes(r.node.connection)) && (vantages.length < 2 || tags.includes("from " + r.vantage)));
    const cells = Object.fromEntries(tds.map((td) => [plain(/data-label="(.*?)"/.exec(td)[1]).split(", ")[0], td]));
    for (const [name, td] of Object.entries(cells)) {
      const what = `html ${title(r)} ${of} ${name}`, tag = (t) => plain(new RegExp(`<${t}[^>]*>(.*?)</${t}>`).exec(td)?.[1] ?? "");
      if (section === "failures") continue;
      if (name === "success") {
        if (r.n === 0) continue;
        checkShown(what, tag("b"), r.success.value);
        check(what, tag("small"), `${r.ok} of ${r.n}`);
        checkInterval(what, plain(/<small class="bounds">(.*?)<\/small>/.exec(td)[1]).replaceAll(" %", "").replace(" to ", "–"), r.success);
      } else if (name === "vs reference") {
        if (!r.versus) { check(what, plain(td), "–"); continue; }
        checkShown(what, tag("b").replace(" ×", ""), r.versus.ratio);
        const [low, high] = tag("small").split(" to ");
        if (Number.isFinite(r.versus.high)) { checkShown(what + " low", low, r.versus.low); checkShown(what + " high", high, r.versus.high); }
      } else if (section === "results") checkShown(what, plain(td), columns[name]?.(r));
      else checkShown(what, plain(td), r[of]?.[name]);
    }
    if (section === "failures") {
      const failed = r.failures[plain(cells.class)] ?? [];
      check(`html ${title(r)} ${plain(cells.class)}`, Number(plain(cells.count)), failed.length, 0);
      checkShown(`html ${title(r)} share`, plain(cells.share), failed.length / r.n);
      checkShown(`html ${title(r)} time to failure`, plain(cells["time to failure"]), failed.length >= 3 ? describe(failed).p50 : describe(failed).mean);
    }
  }
}
check("html rows", shownRows.results, rows.length, 0);
check("html failures", shownRows.failures, rows.reduce((a, r) => a + Object.keys(r.failures).length, 0), 0);

// ---- JUnit

const times = [...report("xml").matchAll(/<testcase classname="ferry\.bench\.node" name="[^"]*" time="([0-9.]+)"/g)].map((m) => Number(m[1]));
rows.forEach((r, i) => check("junit " + title(r), times[i], (r.latency?.mean ?? 0) / 1000, 5e-7));

for (const line of wrong) console.log(line);
console.log(`${compared} figures compared, ${wrong.length} wrong`);
process.exit(wrong.length ? 1 : 0);
