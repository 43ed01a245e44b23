// Where the files of an upload come from: a dialog, a drop, the clipboard. Each answers a list of
// sources: { file?, handle?, path: ["folder", "name.jpg"], isFolder? }; one that the browser could
// not read has `isUnreadable`.

// From an <input type=file>; those of a folder know their path.
export function readInput(input) {
  return [...input.files].map((file) => ({
    file,
    path: (file.webkitRelativePath || file.name).split("/"),
  }));
}

// From the system's dialog, with handles that outlive a reload; null where the browser has none.
export async function pickFiles() {
  if (!window.showOpenFilePicker) return null;
  let handles;
  try {
    handles = await showOpenFilePicker({ multiple: true });
  } catch (error) {
    return error.name === "AbortError" ? [] : null;
  }
  return Promise.all(handles.map((handle) => readHandle(handle, [handle.name])));
}

// From a drop: files and whole folders. What is asked of the items must be asked at once, since
// they are gone after the event.
export async function readDrop(transfer) {
  const asked = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({
      handle: item.getAsFileSystemHandle?.().catch(() => null),
      entry: item.webkitGetAsEntry?.(),
      file: item.getAsFile(),
    }));
  const found = [];
  for (const { handle, entry, file } of asked) {
    const reached = await handle;
    if (reached) await walkHandle(reached, [], found);
    else if (entry) await walkEntry(entry, [], found);
    else if (file) found.push({ file, path: [file.name] });
  }
  return found;
}

async function readHandle(handle, path) {
  try {
    return { handle, file: await handle.getFile(), path };
  } catch {
    return { path, isUnreadable: true };
  }
}

async function walkHandle(handle, above, found) {
  const path = [...above, handle.name];
  if (handle.kind === "file") {
    found.push(await readHandle(handle, path));
    return;
  }
  const before = found.length;
  try {
    for await (const child of handle.values()) await walkHandle(child, path, found);
  } catch {
    found.push({ path, isUnreadable: true });
  }
  if (found.length === before) found.push({ path, isFolder: true });
}

// Entries answer by callbacks.
const readEntry = (read) =>
  new Promise((resolve, reject) => {
    read(resolve, reject);
  });

async function walkEntry(entry, above, found) {
  const path = [...above, entry.name];
  const before = found.length;
  try {
    if (entry.isFile) {
      const file = await readEntry((...call) => entry.file(...call));
      found.push({ file, path });
      return;
    }
    const reader = entry.createReader();
    while (true) {
      // A reader hands out at most a hundred at a time.
      const some = await readEntry((...call) => reader.readEntries(...call));
      if (!some.length) break;
      for (const child of some) await walkEntry(child, path, found);
    }
  } catch {
    found.push({ path, isUnreadable: true });
  }
  if (found.length === before) found.push({ path, isFolder: true });
}

// From the clipboard: pictures that were copied all have the same name, so they get the moment's.
export function readPaste(transfer) {
  const moment = new Date();
  const two = (number) => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  const time = `${two(moment.getHours())}.${two(moment.getMinutes())}.${two(moment.getSeconds())}`;
  return [...transfer.files].map((file, place) => {
    if (!/^image\.\w+$/i.test(file.name)) return { file, path: [file.name] };
    const ending = file.name.split(".").at(-1);
    const number = place ? ` (${place + 1})` : "";
    return { file, path: [`Pasted ${day} ${time}${number}.${ending}`] };
  });
}
