// The sentences that scripts show, in the page's language, and the page's voice for screen readers.
//
// They come from JSON blocks of the page: gallery/_words.html and admin/_words.html.

const words = /** @type {Record<string, string | [string, string]>} */ ({});
for (const block of document.querySelectorAll("script[data-words]")) {
  Object.assign(words, JSON.parse(block.textContent ?? ""));
}

const { lang } = document.documentElement;
// English dates are British, as in the pages.
export const locale = lang === "en" ? "en-GB" : lang;
/** @type {?Intl.NumberFormat} made when it is needed: a phone takes long to load its data */
let numbers = null;

/** Return a sentence of the page, with its `{placeholders}` filled in.
 * @param {string} name
 * @param {Record<string, string | number>} [values] `count` also picks the singular or the plural
 */
export function t(name, values = {}) {
  const found = words[name] ?? name;
  const text = typeof found === "string" ? found : found[values.count === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (placeholder, key) => {
    const value = values[key] ?? placeholder;
    if (typeof value !== "number") return value;
    numbers ??= new Intl.NumberFormat(locale);
    return numbers.format(value);
  });
}

/** Let screen readers say something, without moving the focus. @param {string} text */
export function say(text) {
  const status = document.getElementById("status");
  if (status) status.textContent = text;
}
