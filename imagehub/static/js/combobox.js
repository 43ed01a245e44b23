// A list of suggestions below a field while somebody types. Enter without choosing one is left to the
// field.
//
// Source: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/ (list autocomplete, manual selection).

import { closest, icon, make } from "./dom.js";

const WAIT_MS = 140;

/** @typedef {{ title: string, value: string, picture?: string, icon?: string }} Choice */

/** Give a field its suggestions.
 * @param {HTMLInputElement} input
 * @param {{ id: string, find: (signal: AbortSignal) => ?Promise<Choice[]>,
 *   choose: (value: string) => unknown }} options `find` returns null where nothing is asked for */
export function makeCombobox(input, { id, find, choose }) {
  const list = make("ul", { className: "suggestions", id, role: "listbox" });
  list.hidden = true;
  list.ariaLabel = input.labels?.[0].textContent.trim() ?? "";
  input.after(list);
  input.role = "combobox";
  input.ariaAutoComplete = "list";
  input.setAttribute("aria-controls", list.id);
  input.ariaExpanded = "false";

  let active = -1;
  let timer = 0;
  let request = new AbortController();

  /** A request on its way must not change the list any more. */
  function settle() {
    clearTimeout(timer);
    request.abort();
  }

  function showList(/** @type {boolean} */ isOpen) {
    list.hidden = !isOpen;
    input.ariaExpanded = String(isOpen);
    mark(-1);
  }

  function mark(/** @type {number} */ index) {
    active = index;
    [...list.children].forEach((option, i) => (option.ariaSelected = String(i === index)));
    if (index < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[index].id);
  }

  function makeOption(/** @type {Choice} */ choice, /** @type {number} */ index) {
    const option = make("li", { role: "option", id: `${id}-${index}` });
    option.dataset.value = choice.value;
    if (choice.picture) option.append(make("img", { alt: "", src: choice.picture }));
    else if (choice.icon) option.append(icon(choice.icon));
    option.append(make("span", { dir: "auto" }, choice.title));
    return option;
  }

  async function ask() {
    settle();
    request = new AbortController();
    const { signal } = request;
    try {
      const found = (await find(signal)) ?? [];
      // An abort does not stop an answer that has arrived completely.
      if (signal.aborted) return;
      list.replaceChildren(...found.map(makeOption));
      showList(found.length > 0 && document.activeElement === input);
    } catch {
      if (!signal.aborted) showList(false);
    }
  }

  function askSoon() {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  }

  function take(/** @type {?Element} */ option) {
    if (!(option instanceof HTMLElement)) return;
    showList(false);
    choose(option.dataset.value ?? "");
  }

  input.addEventListener("input", askSoon);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") settle();
    if (list.hidden) return;
    const count = list.children.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      // The list does not change while somebody moves through it.
      settle();
      // One more place than suggestions: the field itself.
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(((active + 1 + step + count + 1) % (count + 1)) - 1);
    } else if (event.key === "Enter" && active >= 0) {
      event.preventDefault();
      take(list.children[active]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      showList(false);
    }
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    settle();
  });
  list.addEventListener("click", (event) => take(closest(event.target, "[role=option]")));
  input.addEventListener("blur", () => {
    settle();
    showList(false);
  });
  // Somebody may have typed while this module was loading.
  if (input.value !== input.defaultValue) askSoon();
}
