// Facts as people say them, in the browser; admin/words.py says them in the same way.

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

export function describeSize(bytes) {
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const number = unit === 0 || size >= 99.5 ? size.toFixed(0) : size.toFixed(1).replace(/\.0$/, "");
  return `${number}\u00a0${UNITS[unit]}`;
}

export function describeCount(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export function describeWait(seconds) {
  if (seconds < 50) return `${Math.max(5, Math.ceil(seconds / 5) * 5)} seconds`;
  if (seconds < 3300) return describeCount(Math.max(1, Math.round(seconds / 60)), "minute");
  const hours = seconds / 3600;
  return hours < 2 ? "more than an hour" : `${Math.round(hours)} hours`;
}
