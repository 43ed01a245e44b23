// Where the files of an upload come from: a dialog, a drop, the clipboard.

import { getName } from "./upload-entry.js";
import { t } from "../words.js";

/** Return the files of an <input type=file>; those of a folder know their path. */
export const readInput = (/** @type {{ files: ?Iterable<File> }} */ { files }) =>
  [...(files ?? [])].map((file) => ({
    file,
    path: (file.webkitRelativePath || file.name).split("/"),
  }));

/** Open the system's dialog, with handles that outlive a reload; null where the browser has none.
 * @returns {Promise<?Source[]>} */
export async function pickFiles() {
  if (!window.showOpenFilePicker) return null;
  try {
    const handles = await window.showOpenFilePicker({ multiple: true });
    return await Promise.all(handles.map((handle) => readHandle(handle, [handle.name])));
  } catch (error) {
    return error instanceof DOMException && error.name === "AbortError" ? [] : null;
  }
}

/** Read the files and whole folders of a drop. The items are gone after the event, so everything is
 * asked of them at once.
 * @param {{ items: Iterable<DataTransferItem> }} transfer @returns {Promise<Source[]>} */
export async function readDrop(transfer) {
  const asked = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({
      handle: item.getAsFileSystemHandle?.().catch(() => null),
      entry: item.webkitGetAsEntry?.(),
      file: item.getAsFile(),
    }));
  const found = /** @type {Source[]} */ ([]);
  for (const { handle, entry, file } of asked) {
    const reached = await handle;
    if (reached) await walkHandle(reached, [], found);
    else if (entry) await walkEntry(entry, [], found);
    else if (file) found.push({ file, path: [file.name] });
  }
  return found;
}

/** @param {FileSystemFileHandle} handle @param {string[]} path @returns {Promise<Source>} */
async function readHandle(handle, path) {
  try {
    return { handle, file: await handle.getFile(), path };
  } catch {
    return { path, isUnreadable: true };
  }
}

/** Collect what `read` finds below a path: nothing is an empty folder.
 * @param {string[]} path @param {Source[]} found @param {() => Promise<void>} read */
async function collect(path, found, read) {
  const before = found.length;
  try {
    await read();
  } catch {
    found.push({ path, isUnreadable: true });
  }
  if (found.length === before) found.push({ path, isFolder: true });
}

/** @param {FileSystemHandle} handle @param {string[]} above @param {Source[]} found */
async function walkHandle(handle, above, found) {
  const path = [...above, handle.name];
  await collect(path, found, async () => {
    if (handle.kind === "file") {
      found.push(await readHandle(/** @type {FileSystemFileHandle} */ (handle), path));
      return;
    }
    const children = /** @type {FileSystemDirectoryHandle} */ (handle).values();
    for await (const child of children) await walkHandle(child, path, found);
  });
}

/** @param {FileSystemEntry} entry @param {string[]} above @param {Source[]} found */
async function walkEntry(entry, above, found) {
  const path = [...above, entry.name];
  await collect(path, found, async () => {
    if (entry.isFile) {
      /** @type {File} */
      const file = await new Promise((resolve, reject) => {
        /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject);
      });
      found.push({ file, path });
      return;
    }
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    /** @type {FileSystemEntry[]} */
    let some;
    do {
      // A reader returns at most a hundred at a time.
      some = await new Promise((resolve, reject) => {
        reader.readEntries(resolve, reject);
      });
      for (const child of some) await walkEntry(child, path, found);
    } while (some.length);
  });
}

/** Return the files of the clipboard: copied images all have the same name, so they get the
 * moment's.
 * @param {{ files: Iterable<File> }} transfer @returns {Source[]} */
export function readPaste(transfer) {
  const now = new Date();
  const moment = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString();
  const [day, time] = moment.slice(0, 19).replaceAll(":", ".").split("T");
  return [...transfer.files].map((file, place) => {
    if (!/^image\.\w+$/i.test(file.name)) return { file, path: [file.name] };
    const extension = getName({ path: file.name.split(".") });
    const number = place ? ` (${place + 1})` : "";
    return { file, path: [`${t("pasted")} ${day} ${time}${number}.${extension}`] };
  });
}
