// Small charts as SVG: lines and stacked areas over time, and a histogram. Each draws into an element of the page and keeps
// nothing but that. Text is left to the chart's own labels, so that it is never stretched.

import { ceiling, count, latency } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [600, 150];
/** What the time axis spans, in milliseconds. */
export const SPAN = 120_000;

function element(parent, name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function label(svg, className, text) {
  const made = document.createElement("span");
  made.className = `label ${className}`;
  made.textContent = text;
  // What is drawn is told in figures beside it.
  made.setAttribute("aria-hidden", "true");
  svg.parentElement.append(made);
  return made;
}

/** Runs of samples without a gap between them. */
function runs(samples) {
  const found = [[]];
  for (const sample of samples) {
    if (sample.gap && found.at(-1).length > 0) found.push([]);
    if (!sample.gap) found.at(-1).push(sample);
  }
  return found.filter((run) => run.length > 0);
}

class TimeChart {
  constructor(svg, series) {
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    for (const part of [0, 0.5, 1]) {
      const y = 1 + (HEIGHT - 2) * part;
      element(svg, "line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y });
    }
    this.paths = series.map((name) => element(svg, "path", { class: `series ${name}` }));
    this.top = label(svg, "top", "");
    this.middle = label(svg, "middle", "");
    label(svg, "before", "2 min ago");
    label(svg, "now", "now");
    this.ceiling = 1;
  }

  /** Draws `values(sample)`, a number for each series. */
  draw(samples, now, values, show) {
    const highest = Math.max(1, ...samples.filter((sample) => !sample.gap).map((sample) => this.height(values(sample))));
    this.ceiling = ceiling(highest);
    this.top.textContent = show(this.ceiling);
    // Half a connection is none.
    this.middle.textContent = Number.isInteger(this.ceiling / 2) ? show(this.ceiling / 2) : "";
    this.x = (sample) => (WIDTH * (1 - (now - sample.time) / SPAN)).toFixed(1);
    this.y = (value) => (HEIGHT - 1 - (HEIGHT - 2) * (value / this.ceiling)).toFixed(1);
    const drawn = runs(samples);
    this.paths.forEach((path, series) => path.setAttribute("d", drawn.map((run) => this.path(run, values, series)).join("")));
  }
}

export class Lines extends TimeChart {
  height(values) {
    return Math.max(...values);
  }

  path(run, values, series) {
    return run.map((sample, index) => `${index ? "L" : "M"}${this.x(sample)} ${this.y(values(sample)[series])}`).join("");
  }
}

export class Stack extends TimeChart {
  height(values) {
    return values.reduce((sum, value) => sum + value, 0);
  }

  path(run, values, series) {
    const upTo = (sample, end) => values(sample).slice(0, end).reduce((sum, value) => sum + value, 0);
    const top = run.map((sample) => `${this.x(sample)} ${this.y(upTo(sample, series + 1))}`);
    const bottom = run.map((sample) => `${this.x(sample)} ${this.y(upTo(sample, series))}`).reverse();
    return `M${[...top, ...bottom].join("L")}Z`;
  }
}

/** How many answers took how long, a bar for each doubling. */
export class Histogram {
  constructor(svg) {
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    element(svg, "line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 });
    this.bars = element(svg, "g", {});
    this.shortest = label(svg, "before", "");
    this.longest = label(svg, "now", "");
    this.top = label(svg, "top", "");
  }

  draw(buckets) {
    const octaves = new Map();
    for (const [from, , answers] of buckets) {
      const octave = Math.floor(Math.log2(Math.max(from * 1e6, 1)) + 1e-9);
      octaves.set(octave, (octaves.get(octave) ?? 0) + answers);
    }
    const [first, last] = octaves.size ? [Math.min(...octaves.keys()), Math.max(...octaves.keys())] : [0, 0];
    const slots = Math.max(last - first + 1, 8);
    const most = Math.max(1, ...octaves.values());
    const bars = [...octaves].map(([octave, answers]) => {
      const height = Math.max(2, (HEIGHT - 12) * (answers / most));
      const bar = document.createElementNS(SVG, "rect");
      const [left, width] = [((octave - first) * WIDTH) / slots, WIDTH / slots];
      for (const [name, value] of Object.entries({ class: "bar", x: left + 3, width: width - 6, y: HEIGHT - height, height })) {
        bar.setAttribute(name, value);
      }
      return bar;
    });
    this.bars.replaceChildren(...bars);
    this.shortest.textContent = octaves.size ? latency(first === 0 ? 0 : 2 ** first / 1e6) : "";
    this.longest.textContent = octaves.size ? latency(2 ** (first + slots) / 1e6) : "";
    this.top.textContent = octaves.size ? `${count(most)} ${most === 1 ? "answer" : "answers"}` : "no answers yet";
  }
}
