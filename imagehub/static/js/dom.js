// Typed access to the elements of a page.

/**
 * @template {Element} T
 * @typedef {{ new (): T, prototype: T }} Class
 */

/**
 * Return the element with this id; throws a TypeError where the page has none of this class.
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @param {Class<T>} [type]
 * @returns {T}
 */
export function byId(id, type) {
  return check(document.getElementById(id), `#${id}`, type);
}

/**
 * Return the first element below `root` that fits the selector, or null.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {Class<T>} [type]
 * @returns {?T}
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  return found && check(found, selector, type);
}

/**
 * Like `find`, but throws a TypeError where there is none.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {Class<T>} [type]
 * @returns {T}
 */
export function get(root, selector, type) {
  return check(root.querySelector(selector), selector, type);
}

/**
 * Return every element below `root` that fits the selector.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {Class<T>} [type]
 * @returns {T[]}
 */
export function findAll(root, selector, type) {
  return [...root.querySelectorAll(selector)].map((found) => check(found, selector, type));
}

/**
 * Return the nearest element around `target` (itself too) that fits the selector, or null.
 * @template {Element} [T=HTMLElement]
 * @param {?EventTarget} target of an event; may be the document
 * @param {string} selector
 * @param {Class<T>} [type]
 * @returns {?T}
 */
export function closest(target, selector, type) {
  const found = target instanceof Element ? target.closest(selector) : null;
  return found && check(found, selector, type);
}

/**
 * Create an element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Partial<HTMLElementTagNameMap[K]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/**
 * Create an icon of the sprite.
 * @param {string} name in Lucide
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", getIconUrl(name));
  svg.append(use);
  return svg;
}

/**
 * Return the address of an icon, for the element `use`.
 * @param {string} name in Lucide
 */
export const getIconUrl = (name) => new URL(`../vendor/icons.svg#${name}`, import.meta.url).href;

/** Return the element that has the focus; the body where none has. */
export function getFocused() {
  const { activeElement } = document;
  return activeElement instanceof HTMLElement ? activeElement : document.body;
}

/**
 * Return whether a click or key is meant for the browser: a new tab, a download, a shortcut.
 * @param {MouseEvent | KeyboardEvent} event
 */
export function isModified(event) {
  const isOtherButton = event instanceof MouseEvent && event.button !== 0;
  return isOtherButton || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
}

/**
 * @template {Element} T
 * @param {?Element} found
 * @param {string} selector
 * @param {Class<T>} [type]
 * @returns {T}
 */
function check(found, selector, type) {
  if (!(found instanceof (type ?? HTMLElement))) {
    throw new TypeError(`${selector} is ${found ? `a ${found.localName}` : "not on the page"}`);
  }
  return /** @type {T} */ (found);
}
