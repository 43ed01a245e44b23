// Suggestions under the search field while somebody types. Enter without choosing one searches.

import { makeCombobox } from "./combobox.js";

/** @typedef {{ title: string, url: string, picture?: string }} Work */
/** @typedef {{ name: string, count: number, url: string }} Tag */

/** Give a search field its suggestions.
 * @param {HTMLInputElement} input
 * @param {string} url answers `?q=` with works and tags as JSON */
export function suggestFor(input, url) {
  /** @param {string} query @param {AbortSignal} signal */
  async function fetchChoices(query, signal) {
    const answer = await fetch(`${url}?q=${encodeURIComponent(query)}`, {
      signal,
      headers: { Accept: "application/json" },
    });
    if (!answer.ok) throw new Error(`${answer.status}`);
    /** @type {{ works: Work[], tags: Tag[] }} */
    const { works, tags } = await answer.json();
    return [
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
