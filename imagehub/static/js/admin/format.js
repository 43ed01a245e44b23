// Sizes, days and durations as people read them. admin/words.py writes them in the same way.

import { locale, t } from "../words.js";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
const numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 1, useGrouping: false });
const days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });

export function formatSize(/** @type {number} */ bytes) {
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const rounded = Number(size.toFixed(unit === 0 || size >= 99.5 ? 0 : 1));
  return `${numbers.format(rounded)}\u00a0${unit ? UNITS[unit] : t("bytes")}`;
}

export function formatDuration(/** @type {number} */ seconds) {
  if (seconds < 50) return t("seconds", { count: Math.max(5, Math.ceil(seconds / 5) * 5) });
  if (seconds < 3300) return t("minutes", { count: Math.max(1, Math.round(seconds / 60)) });
  const hours = seconds / 3600;
  return hours < 2 ? t("over_an_hour") : t("hours", { count: Math.round(hours) });
}

/** @param {string} time as in JSON @returns {string} the day, or "" where there is none */
export function formatDay(time) {
  const moment = new Date(time);
  return Number.isNaN(moment.getTime()) ? "" : days.format(moment);
}
