// The items of a folder in OneDrive: their order, and what of them is shown.

/** @typedef {{ title: string, url: string }} Mark a group that shows images of an item */

/**
 * @typedef {object} Item
 * @property {string} id
 * @property {string} name
 * @property {string} name_key the server's key for the order of names
 * @property {boolean} is_folder
 * @property {boolean} is_picture
 * @property {number} size
 * @property {number} count of items in a folder
 * @property {string} modified
 * @property {string} url of a folder's page; "" for a file
 * @property {string} thumb address of the thumbnail; "" where there is none
 * @property {string} web address in OneDrive
 * @property {string} state "changed", or another word for its style
 * @property {Mark[]} marks
 */

/**
 * @param {Item} one
 * @param {Item} other
 */
function compareTimes(one, other) {
  if (one.modified === other.modified) return 0;
  return one.modified < other.modified ? -1 : 1;
}

/** @type {Record<string, (one: Item, other: Item) => number>} */
const ORDERS = {
  newest: (one, other) => compareTimes(other, one),
  oldest: compareTimes,
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

/**
 * Some systems write a letter and its accent as two characters.
 * @param {string} text
 */
const fold = (text) => text.normalize("NFC").toLowerCase();

/**
 * Sort by name, as the page without a script does.
 * @param {Iterable<Item>} items
 */
export function sortByName(items) {
  return [...items].sort((one, other) => (one.name_key < other.name_key ? -1 : 1));
}

/**
 * Return the items that are asked for, folders first.
 * @param {Item[]} items in the order of their names
 * @param {object} options
 * @param {string} options.order "" leaves them as they are, while more are to come in between
 * @param {string} options.show name of a filter
 * @param {string} options.words part of the name
 */
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
