// The items of a folder in OneDrive: their order, and what of them is shown.

/** @type {Record<string, (one: Item, other: Item) => number>} */
const ORDERS = {
  newest: (one, other) => ORDERS.oldest(other, one),
  oldest: ({ modified: one }, { modified: other }) => Number(one > other) - Number(one < other),
  largest: (one, other) => other.size - one.size,
  smallest: (one, other) => one.size - other.size,
};

/** @type {Record<string, (item: Item) => boolean>} */
const FILTERS = {
  all: () => true,
  pictures: (item) => item.is_folder || item.is_picture,
  outside: (item) => item.is_folder || (item.is_picture && !item.marks.length),
  inside: (item) => item.is_folder || item.marks.length > 0,
  changed: (item) => item.state === "changed",
};

/** Some systems write a letter and its accent as two characters. @param {string} text */
const fold = (text) => text.normalize("NFC").toLowerCase();

/** Sort by name, as the page without a script does. @param {Iterable<Item>} items */
export function sortByName(items) {
  return [...items].sort((one, other) => (one.name_key < other.name_key ? -1 : 1));
}

/** Return the items that are asked for, folders first. `show` names a filter, `words` are part of
 * the name, and the order "" leaves items as they are, while more are to come in between.
 * @param {Item[]} items in the order of their names
 * @param {{ order: string, show: string, words: string }} wish */
export function arrange(items, { order, show, words }) {
  const needle = fold(words.trim());
  const isWanted = FILTERS[show];
  const found = items.filter(
    (item) => isWanted(item) && (!needle || fold(item.name).includes(needle)),
  );
  if (!order) return found;
  if (order === "name-down") found.reverse();
  else if (order in ORDERS) found.sort(ORDERS[order]);
  return [...found.filter((item) => item.is_folder), ...found.filter((item) => !item.is_folder)];
}
