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
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(absolute);
  } else {
    copyFromField(absolute);
  }
  return true;
}

// Sites without https have no clipboard interface.
function copyFromField(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  (document.querySelector(".pswp") ?? document.body).append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
