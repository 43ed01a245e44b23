// What the hub keeps in this browser. A hub below a path shares the browser's storage with the other
// programs of its host, so the names there contain the path.

const { pathname } = new URL("../../..", import.meta.url);

/** Return the name of something in the storage of the browser, such as a lock or a database.
 * @param {string} name */
export const makeName = (name) => (pathname === "/" ? name : `${name} ${pathname}`);
