// What is on the board of an import plan: groups ("bins") of files ("cards"), and the focus.

import { closest, find, findAll, get, getFocused } from "../dom.js";
import { t } from "../words.js";

/** What was on the board when a change was sent: titles by the names of their fields, ticked files.
 * `origin`: selector of what had the focus when the change was made. `focus`: file whose card gets
 * it. `goal`: title that was typed as the goal of a move.
 * @typedef {{ titles: Record<string, string>, ticks: Set<string>, state: string, origin: string,
 *   focus?: string, goal?: string }} Sent */

export class BoardView {
  /** Whether a new board is being put in, so that events come from fields that go away. */
  isShowing = false;

  constructor(/** @type {HTMLElement} */ parts) {
    this.parts = parts;
  }

  listBins = () => findAll(this.parts, ".bin:not(.bin-new)");
  listCards = (inside = this.parts) => findAll(inside, ".card");
  listSelected = () => this.listCards().filter((card) => getBox(card).checked);
  listTitles = () => findAll(this.parts, "input.bin-title", HTMLInputElement);
  findFocusedCard = () => closest(document.activeElement, ".card");
  getState = () => get(this.parts, "[name=state]:checked", HTMLInputElement).value;
  #findGoal = () => find(this.parts, "#board-to", HTMLSelectElement);

  findCard(/** @type {string} */ file) {
    return find(this.parts, `.card[data-file="${file}"]`);
  }

  /** @param {string} value of the button */
  findButton(value) {
    return find(this.parts, `button[value="${CSS.escape(value)}"]`, HTMLButtonElement);
  }

  isStateUnsaved() {
    return this.getState() !== get(this.parts, "[name=was_state]", HTMLInputElement).value;
  }

  /** Return what a key or a drag moves: the selection if this card is part of it, else this card.
   * @param {HTMLElement} card */
  listMoved(card) {
    const selected = this.listSelected();
    return (selected.includes(card) ? selected : [card]).map(getFile);
  }

  /** Return the nearest card in a direction, or null. */
  findNearest(/** @type {HTMLElement} */ card, /** @type {number} */ dx, /** @type {number} */ dy) {
    const from = card.getBoundingClientRect();
    let best = null;
    let least = Infinity;
    for (const other of this.listCards()) {
      if (other === card) continue;
      const to = other.getBoundingClientRect();
      const x = to.left - from.left;
      const y = to.top - from.top;
      const ahead = dx ? (Math.abs(y) < from.height / 2 ? x * dx : -1) : y * dy;
      if (ahead <= 4) continue;
      const distance = dx ? ahead : ahead * 3 + Math.abs(x);
      if (distance < least) [best, least] = [other, distance];
    }
    return best;
  }

  focusCard(/** @type {HTMLElement} */ card) {
    for (const other of this.listCards()) getBox(other).tabIndex = -1;
    const box = getBox(card);
    box.tabIndex = 0;
    box.focus();
    card.scrollIntoView({ block: "nearest" });
  }

  showSelected() {
    const count = this.listSelected().length;
    const label = find(this.parts, "[data-chosen]");
    if (!label) return;
    label.hidden = false;
    label.textContent = count ? t("selected", { count }) : t("select_files");
    const selector = ".board-tools button[value]:not([data-no-script])";
    for (const button of findAll(this.parts, selector, HTMLButtonElement)) button.disabled = !count;
  }

  /** Give a board from the server what needs a script. @param {boolean} canUndo */
  prepare(canUndo) {
    this.listCards().forEach((card, index) => {
      card.draggable = true;
      getBox(card).tabIndex = index ? -1 : 0;
    });
    for (const bin of findAll(this.parts, ".bin-new")) bin.hidden = false;
    find(this.parts, "[data-undo]")?.toggleAttribute("hidden", !canUndo);
    this.showSelected();
  }

  /** Return a selector of what has the focus, for the next board too; "" where it is elsewhere. */
  describeFocus() {
    const element = getFocused();
    if (!this.parts.contains(element)) return "";
    const card = closest(element, ".card");
    if (card) return `.card[data-file="${getFile(card)}"] input`;
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.matches("[data-undo]")) return "[data-undo]";
    const value = element.getAttribute("value");
    if (element.matches("[name=state]")) return `[name=state][value="${value}"]`;
    return value ? `button[value="${CSS.escape(value)}"]` : "";
  }

  /** Put a new board in the place of the old one. What the person has done on the old one since the
   * change was sent stays; so does the focus, unless it is where it was when the change was made.
   * @param {string} html @param {Sent} sent @param {boolean} canUndo */
  replace(html, { titles, ticks, state, origin, focus, goal = "" }, canUndo) {
    const { parts } = this;
    const active = getFocused();
    const wasHere = parts.contains(active);
    const place = this.describeFocus();
    const hasMoved = wasHere && place !== origin;
    const isTitle = active instanceof HTMLInputElement && active.matches(".bin-title");
    const caret = isTitle ? { start: active.selectionStart, end: active.selectionEnd } : null;
    const typed = this.listTitles().filter(({ name, value }) => titles[name] !== value);
    const ticked = this.listSelected().filter((card) => !ticks.has(getFile(card)));
    const chosen = this.getState();
    const to = this.#findGoal()?.value;
    const isUnfolded = find(parts, "details", HTMLDetailsElement)?.open;
    this.isShowing = true;
    parts.innerHTML = html;
    this.isShowing = false;
    for (const { name, value } of typed) {
      const title = find(parts, `#${CSS.escape(name)}`, HTMLInputElement);
      if (title) title.value = value;
    }
    for (const old of ticked) {
      const card = this.findCard(getFile(old));
      if (card) getBox(card).checked = true;
    }
    if (chosen !== state) {
      get(parts, `[name=state][value=${chosen}]`, HTMLInputElement).checked = true;
    }
    const list = this.#findGoal();
    if (list && to && [...list.options].some(({ value }) => value === to)) list.value = to;
    const field = find(parts, "#board-to-title", HTMLInputElement);
    if (field) field.value = goal;
    if (isUnfolded) find(parts, "details")?.setAttribute("open", "");
    this.prepare(canUndo);
    const card = focus && this.findCard(focus);
    if (card && !hasMoved && (wasHere || active === document.body)) {
      this.focusCard(card);
    } else if (wasHere) {
      this.#restoreFocus(place, caret);
    }
  }

  /** @param {string} place @param {?{ start: ?number, end: ?number }} caret */
  #restoreFocus(place, caret) {
    const same = place ? find(this.parts, place) : null;
    const card = closest(same, ".card");
    if (card) this.focusCard(card);
    else same?.focus();
    if (same instanceof HTMLInputElement && caret) same.setSelectionRange(caret.start, caret.end);
    // What had the focus may be gone, or have nothing to act on any more.
    if (!this.parts.contains(document.activeElement)) {
      find(this.parts, ".card input")?.focus({ preventScroll: true });
    }
  }
}

const getBox = (/** @type {HTMLElement} */ card) => get(card, "input", HTMLInputElement);
export const getFile = (/** @type {HTMLElement} */ card) => card.dataset.file ?? "";
export const getBinId = (/** @type {?HTMLElement} */ bin) => bin?.dataset.bin ?? "new";

export function getTitle(/** @type {HTMLElement} */ bin) {
  const title = get(bin, ".bin-title");
  const text = title instanceof HTMLInputElement ? title.value : title.textContent;
  return text.trim() || t("untitled");
}

/** Return whether a title differs from the one that is saved, which came with the board.
 * @param {HTMLInputElement} title */
export const isUnsaved = (title) => title.value !== title.defaultValue;
