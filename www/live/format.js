// Numbers as a person reads them.

const GROUPED = new Intl.NumberFormat("en-US");

export const count = (value) => GROUPED.format(value);

/** Three digits that count, and no more than one behind the point. */
export function rate(value) {
  return GROUPED.format(value >= 100 ? Math.round(value) : Math.round(value * 10) / 10);
}

export function bytes(value) {
  let unit = 0;
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(value) : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** A latency in seconds: three digits that count. */
export function latency(seconds) {
  if (seconds === null) return "–";
  const microseconds = seconds * 1e6;
  if (microseconds < 999.5) return `${Number(microseconds.toPrecision(3))} µs`;
  if (microseconds < 999_500) return `${Number((microseconds / 1000).toPrecision(3))} ms`;
  return `${Number((microseconds / 1e6).toPrecision(3))} s`;
}

/** How long something has lasted, in milliseconds. */
export function lasting(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return `${Math.floor(milliseconds)} ms`;
  if (seconds < 10) return `${(Math.floor(milliseconds / 100) / 10).toFixed(1)} s`;
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The smallest of 1, 2, 5, 10, 20, … that is not below the value. */
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}
