// Typed access to the elements of a page. Where an element is not of the class that is asked for,
// HTMLElement unless another is named, a TypeError is thrown.

/** @template {Element} T @typedef {{ new (): T, prototype: T }} Class */

/** Return the element with this id; throws a TypeError where there is none.
 * @type {<T extends Element = HTMLElement>(id: string, type?: Class<T>) => T} */
export const byId = (id, type) => check(document.getElementById(id), `#${id}`, type);

/** Return the first element below `root` that fits the selector, or null.
 * @type {<T extends Element = HTMLElement>(root: ParentNode, css: string, type?: Class<T>) => ?T}
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  return found && check(found, selector, type);
}

/** Like `find`, but throws a TypeError where there is none.
 * @type {<T extends Element = HTMLElement>(root: ParentNode, css: string, type?: Class<T>) => T} */
export const get = (root, selector, type) => check(root.querySelector(selector), selector, type);

/** Return every element below `root` that fits the selector.
 * @type {<T extends Element = HTMLElement>(root: ParentNode, css: string, type?: Class<T>) => T[]}
 */
export const findAll = (root, selector, type) =>
  [...root.querySelectorAll(selector)].map((found) => check(found, selector, type));

/** Return the nearest element around the target of an event (itself too) that fits, or null.
 * @type {<T extends Element = HTMLElement>(at: ?EventTarget, css: string, type?: Class<T>) => ?T}
 */
export function closest(target, selector, type) {
  const found = target instanceof Element ? target.closest(selector) : null;
  return found && check(found, selector, type);
}

/** @type {<T extends Element>(found: ?Element, selector: string, type?: Class<T>) => T} */
function check(found, selector, type) {
  if (!(found instanceof (type ?? HTMLElement))) {
    throw new TypeError(`${selector} is ${found ? `a ${found.localName}` : "not on the page"}`);
  }
  return /** @type {any} */ (found);
}

/** Create an element with properties and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Partial<HTMLElementTagNameMap[K]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]} */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Return the address of an icon of Lucide, for the element `use`. @param {string} name */
export const getIconUrl = (name) => new URL(`../vendor/icons.svg#${name}`, import.meta.url).href;

/** Create an icon of the sprite. @param {string} name in Lucide */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", getIconUrl(name));
  svg.append(use);
  return svg;
}

/** Return the element that has the focus; the body where none has. */
export function getFocused() {
  const { activeElement } = document;
  return activeElement instanceof HTMLElement ? activeElement : document.body;
}

/** Return whether a click or key is meant for the browser: a new tab, a download, a shortcut. */
export function isModified(/** @type {MouseEvent | KeyboardEvent} */ event) {
  const isOtherButton = event instanceof MouseEvent && event.button !== 0;
  return isOtherButton || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
}
