// Cookies that pages and scripts share, under the names that web/cookies.py gives them.

const { cookiePrefix = "", cookiePath = "/" } = document.documentElement.dataset;
const YEAR_SECONDS = 365 * 86_400;

/** Return the value of a cookie, "" if there is none. @param {string} name without prefix */
export function readCookie(name) {
  const start = `${cookiePrefix}${name}=`;
  const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(start));
  return found?.slice(start.length) ?? "";
}

/** Set a cookie for a year. @param {string} name without prefix @param {string} value */
export function writeCookie(name, value) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  const rules = `path=${cookiePath}; max-age=${YEAR_SECONDS}; samesite=lax${secure}`;
  document.cookie = `${cookiePrefix}${name}=${value}; ${rules}`;
}

/** Show the theme that this browser has chosen, and return it. */
export function showTheme() {
  const chosen = readCookie("theme");
  const theme = chosen === "light" || chosen === "dark" ? chosen : "auto";
  document.documentElement.dataset.theme = theme;
  return theme;
}
