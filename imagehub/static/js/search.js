// Suggestions under the search field while somebody types. Enter without choosing one searches.

import { makeCombobox } from "./combobox.js";

/** @typedef {{ title: string, url: string, picture?: string }} Work */
/** @typedef {{ name: string, count: number, url: string }} Tag */

/** Give a search field its suggestions.
 * @param {HTMLInputElement} input
 * @param {string} url answers `?q=` with works, tags and pages as JSON */
export function suggestFor(input, url) {
  /** @param {string} query @param {AbortSignal} signal */
  async function fetchChoices(query, signal) {
    const address = new URL(url, location.href);
    address.searchParams.set("q", query);
    const answer = await fetch(address, {
      signal,
      headers: { Accept: "application/json" },
    });
    if (!answer.ok) throw new Error(`${answer.status}`);
    /** @type {{ works: Work[], tags: Tag[], pages: Work[] }} */
    const { works, tags, pages } = await answer.json();
    return [
      ...pages.map((page) => ({ title: page.title, value: page.url, icon: "info" })),
      ...tags.map((tag) => ({ title: `${tag.name} (${tag.count})`, value: tag.url, icon: "tag" })),
      ...works.map((work) => ({ ...work, value: work.url })),
    ];
  }

  makeCombobox(input, {
    id: "suggestions",
    find(signal) {
      const query = input.value.trim();
      return query ? fetchChoices(query, signal) : null;
    },
    choose: (value) => location.assign(value),
  });
}
