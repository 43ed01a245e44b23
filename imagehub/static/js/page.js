// Other pages of this site, fetched and read.

/** Fetch a page; return its document and the text of its last style element.
 *
 * Style elements are taken out before it is parsed: their nonce is not this page's, and browsers
 * report them even in a document that is never shown.
 * @param {string} url */
export async function fetchPage(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`${answer.status} for ${url}`);
  let css = "";
  const html = (await answer.text()).replace(/<style[^>]*>([^<]*)<\/style>/g, (_, text) => {
    css = text;
    return "";
  });
  return { page: new DOMParser().parseFromString(html, "text/html"), css };
}
