// Suggestions under the search field while somebody types. Enter without choosing one searches.
//
// Source: https://www.w3.org/WAI/ARIA/apg/patterns/combobox/ (list autocomplete, manual selection).

const WAIT_MS = 140;

/** Gives a search field its suggestions. `url` answers `?q=` with works and tags as JSON. */
export function suggestFor(input, url, icons) {
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.id = "suggestions";
  list.role = "listbox";
  list.hidden = true;
  list.setAttribute("aria-label", input.labels[0].textContent.trim());
  input.after(list);
  input.role = "combobox";
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  let active = -1;
  let timer = 0;
  let asking = null;

  /** What is still on its way must not change the list any more. */
  function settle() {
    clearTimeout(timer);
    asking?.abort();
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  }

  function mark(index) {
    active = index;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", i === index));
    if (index < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", list.children[index].id);
  }

  function makeOption({ title, url: address, picture, icon }, index) {
    const option = document.createElement("li");
    option.role = "option";
    option.id = `suggestion-${index}`;
    option.dataset.url = address;
    const text = document.createElement("span");
    text.dir = "auto";
    text.textContent = title;
    if (picture) {
      const img = document.createElement("img");
      img.alt = "";
      img.src = picture;
      option.append(img);
    } else if (icon) {
      const template = document.createElement("template");
      template.innerHTML = `<svg class="icon" aria-hidden="true"><use></use></svg>`;
      template.content.querySelector("use").setAttribute("href", `${icons}#${icon}`);
      option.append(template.content);
    }
    option.append(text);
    return option;
  }

  async function ask() {
    const query = input.value.trim();
    settle();
    if (!query) {
      close();
      return;
    }
    asking = new AbortController();
    const { signal } = asking;
    try {
      const answer = await fetch(`${url}?q=${encodeURIComponent(query)}`, {
        signal,
        headers: { Accept: "application/json" },
      });
      if (!answer.ok) throw new Error(`${answer.status}`);
      const { works, tags } = await answer.json();
      // An answer that had come whole is no longer stopped by that.
      if (signal.aborted) return;
      const found = [
        ...tags.map((tag) => ({ title: `${tag.name} (${tag.count})`, url: tag.url, icon: "tag" })),
        ...works,
      ];
      list.replaceChildren(...found.map(makeOption));
      if (found.length && document.activeElement === input) {
        list.hidden = false;
        input.setAttribute("aria-expanded", "true");
        mark(-1);
      } else {
        close();
      }
    } catch {
      if (!signal.aborted) close();
    }
  }

  function askSoon() {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  }

  input.addEventListener("input", askSoon);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") settle();
    if (list.hidden) return;
    const count = list.children.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      // The list somebody goes through does not change under their fingers.
      settle();
      // One more place than suggestions: the field itself.
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(((active + 1 + step + count + 1) % (count + 1)) - 1);
    } else if (event.key === "Enter" && active >= 0) {
      event.preventDefault();
      location.assign(list.children[active].dataset.url);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    settle();
  });
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) location.assign(option.dataset.url);
  });
  input.addEventListener("blur", () => {
    settle();
    close();
  });
  // Somebody may have typed while this module came.
  if (input.value !== input.defaultValue) askSoon();
}
