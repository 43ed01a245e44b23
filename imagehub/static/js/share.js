// Passing on the address of a work.

/** Offers the device's own sharing, else copies the link. Resolves to whether it was copied. */
export async function share(title, url) {
  const absolute = new URL(url, location.href).href;
  if (navigator.share) {
    try {
      await navigator.share({ title, url: absolute });
      return false;
    } catch (error) {
      if (error.name === "AbortError") return false;
    }
  }
  try {
    await navigator.clipboard.writeText(absolute);
    return true;
  } catch {
    return copyFromField(absolute);
  }
}

// Sites without https have no clipboard interface, and some browsers do not let it be used.
function copyFromField(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  (document.querySelector(".pswp") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return isCopied;
}
