// Suggestions under the search field while somebody types. Enter without choosing one searches.
//
// Source: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/ (list autocomplete, manual selection).

import { closest, icon, make } from "./dom.js";

const WAIT_MS = 140;

/** @typedef {{ title: string, url: string, picture?: string, icon?: string }} Suggestion */

/** Give a search field its suggestions.
 * @param {HTMLInputElement} input
 * @param {string} url answers `?q=` with works and tags as JSON */
export function suggestFor(input, url) {
  const list = make("ul", { className: "suggestions", id: "suggestions", role: "listbox" });
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

  function makeOption(/** @type {Suggestion} */ suggestion, /** @type {number} */ index) {
    const option = make("li", { role: "option", id: `suggestion-${index}` });
    option.dataset.url = suggestion.url;
    if (suggestion.picture) option.append(make("img", { alt: "", src: suggestion.picture }));
    else if (suggestion.icon) option.append(icon(suggestion.icon));
    option.append(make("span", { dir: "auto" }, suggestion.title));
    return option;
  }

  async function ask() {
    const query = input.value.trim();
    settle();
    if (!query) {
      showList(false);
      return;
    }
    request = new AbortController();
    const { signal } = request;
    try {
      const answer = await fetch(`${url}?q=${encodeURIComponent(query)}`, {
        signal,
        headers: { Accept: "application/json" },
      });
      if (!answer.ok) throw new Error(`${answer.status}`);
      /** @type {{ works: Suggestion[], tags: { name: string, count: number, url: string }[] }} */
      const { works, tags } = await answer.json();
      // An abort does not stop an answer that has arrived completely.
      if (signal.aborted) return;
      const found = [
        ...tags.map((tag) => ({ title: `${tag.name} (${tag.count})`, url: tag.url, icon: "tag" })),
        ...works,
      ];
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

  const open = (/** @type {?Element} */ option) =>
    option instanceof HTMLElement && location.assign(option.dataset.url ?? "");

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
      open(list.children[active]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      showList(false);
    }
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    settle();
  });
  list.addEventListener("click", (event) => open(closest(event.target, "[role=option]")));
  input.addEventListener("blur", () => {
    settle();
    showList(false);
  });
  // Somebody may have typed while this module was loading.
  if (input.value !== input.defaultValue) askSoon();
}
