// Types that several scripts share, and interfaces that only some browsers have.

// --- The gallery ---

/** A shot of a work, read from the work's page. */
interface Shot {
  /** Id of the image. */
  number: number;
  /** In the work, from 1. */
  position: number;
  /** Page of the shot. */
  url: string;
  /** Signed address of the largest rendition. */
  src: string;
  /** Permanent address of a rendition. */
  lasting: string;
  /** Address of a small rendition. */
  small: string;
  alt: string;
  /** Of the largest rendition. */
  width: number;
  height: number;
  /** Of the original. */
  fullWidth: number;
  fullHeight: number;
  /** Address of the original as browsers show it; "" where there is none. */
  zoom: string;
  /** What the addresses of its tiles begin with; "" where there are none. */
  tiles: string;
  /** Address of the original as a download; "" where there is none. */
  full: string;
  /** What that download is: "Full-size image", or the kind and size of another file. */
  fullLabel: string;
  /** Address of the video; "" if the shot is a picture. */
  video: string;
  /** Its type, as browsers know it. */
  videoType: string;
  /** How long it is: 0:42; "" where that is not known. */
  length: string;
  /** It plays in a loop, without sound. */
  isLoop: boolean;
  /** The link that leads to it on this page. */
  link: HTMLElement | null;
}

interface Work {
  title: string;
  /** Its page. */
  url: string;
  shots: Shot[];
  /** What its label says below the title; empty where there is nothing to say. */
  label: Node[];
}

// --- OneDrive, as the server tells about it ---

/** An item of a folder. */
interface Item {
  id: string;
  name: string;
  /** The server's key for the order of names. */
  name_key: string;
  is_folder: boolean;
  is_picture: boolean;
  size: number;
  /** Of items in a folder. */
  count: number;
  modified: string;
  /** Of a folder's page; "" for a file. */
  url: string;
  /** Address of the thumbnail; "" where there is none. */
  thumb: string;
  /** Address in OneDrive. */
  web: string;
  /** "changed", or another word for its style. */
  state: string;
  /** The groups that show images of it. */
  marks: { title: string; url: string }[];
  offers: { title: string; url: string; number: number }[];
}

/** Addresses that the drive page calls. */
type DriveUrls = Record<
  | "root"
  | "folders"
  | "newFolder"
  | "rename"
  | "move"
  | "delete"
  | "planDelete"
  | "restore"
  | "paths"
  | "ensure"
  | "begin"
  | "find"
  | "item"
  | "replaced"
  | "import",
  string
>;

/** A folder and the first of its items. */
interface FolderFacts {
  id: string;
  is_root: boolean;
  /** From the root to the folder itself. */
  crumbs: { name: string; url: string }[];
  /** Of its items. */
  count: number;
  items: Item[];
  /** Mark of the next page; "" where all of it is read. */
  next_page: string;
  quota: { total: number; used: number; words: string };
  /** That new files are imported automatically, and the number of the watch. */
  watch: { id: number; words: string } | null;
}

/** A folder in which another may be selected. */
interface OpenedFolder {
  id: string;
  /** From the root to the folder itself. */
  names: string[];
  /** Id of the parent folder; "" at the root. */
  parent: string;
  folders: { id: string; name: string }[];
}

/** The answer to an act on items. */
interface ActAnswer {
  done: Item[];
  failed: FailedItem[];
  /** Mark that restores what was deleted. */
  deletion?: string;
  /** OneDrive's recycle bin. */
  bin?: { url: string; days: number };
}

interface FailedItem {
  id: string;
  reason: string;
}

/** What would be deleted. */
interface DeletionPlan {
  sentences: string[];
  groups: { title: string; url: string; images: number; shown: boolean }[];
}

// --- Uploads ---

/**
 * "taken": the name is in the folder already. "name": OneDrive refuses the name. "lost": the browser
 * cannot read the file any more.
 */
type UploadState =
  | "waiting"
  | "running"
  | "paused"
  | "name"
  | "taken"
  | "failed"
  | "lost"
  | "skipped"
  | "done"
  | "cancelled";

/** One file or folder of the upload queue, as it is kept in the browser's database. */
interface Entry {
  id: string;
  /** The tab that looks after it. */
  tab: string;
  owner: string;
  order: number;
  /** Id of the folder that was open. */
  folder: string;
  folderName: string;
  /** Below that folder. */
  path: string[];
  isFolder: boolean;
  size: number;
  modified: number;
  type: string;
  handle?: FileSystemFileHandle | null;
  state: UploadState;
  conflict: "fail" | "rename" | "replace";
  /** Whether OneDrive accepts its name. */
  isChecked: boolean;
  /** Bytes that OneDrive has. */
  sent: number;
  /** Bytes of the fragment on its way. */
  progress: number;
  message: string;
  /** A path that OneDrive accepts. */
  repaired?: string[];
  /** The path on this computer, if another was accepted. */
  chosenPath?: string[];
  /** Id of the folder it goes to. */
  target?: string;
  /** Address of its session. */
  uploadUrl?: string;
  begunAt?: string;
  sessionAt?: number;
  /** Whether its session was waited for once. */
  wasYoung?: boolean;
  /** Whether OneDrive must be asked how much it has. */
  isUnsure?: boolean;
  /** How often another session on its name was waited for. */
  heldCount?: number;
  heldUntil?: number;
  /** How often the file changed while it was sent. */
  changeCount?: number;
  /** When the person decided about its name. */
  settledAt?: number;
  arrivedAt?: number;
  /** In OneDrive. */
  itemId?: string;
  itemName?: string;
  isImportable?: boolean;
  isImported?: boolean;
}

/** A file or folder that somebody selected, dropped or pasted. */
interface Source {
  /** Folders and name. */
  path: string[];
  file?: File;
  handle?: FileSystemFileHandle;
  /** An empty folder. */
  isFolder?: boolean;
  /** The browser could not read it. */
  isUnreadable?: boolean;
}

/** A folder that files are uploaded to. */
interface UploadFolder {
  id: string;
  name: string;
}

/** A file that has arrived in OneDrive. */
interface UploadedItem {
  id: string;
  name: string;
  file?: { mimeType?: string };
}

/** The server's answer to an import of what was uploaded. */
interface ImportOutcome {
  /** Of images that are being imported. */
  count: number;
  /** Files that are imported already. */
  known: number;
  refused: { count: number; reason: string }[];
  /** Of the import; "" where there is none. */
  url: string;
}

// --- Interfaces that only some browsers have; scripts check for them before they use them ---

interface FileSystemHandle {
  queryPermission?(descriptor: { mode: "read" }): Promise<PermissionState>;
  requestPermission?(descriptor: { mode: "read" }): Promise<PermissionState>;
}

interface DataTransferItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

interface Window {
  showOpenFilePicker?(options: { multiple: boolean }): Promise<FileSystemFileHandle[]>;
}
