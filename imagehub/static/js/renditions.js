// Addresses of renditions.

const SIZES = [480, 720, 960, 1920];

/** Return the permanent address of a rendition that is large enough for `pixels`.
 * @param {string} url permanent address of any rendition of the image
 * @param {number} pixels the width in which it is shown, in device pixels */
export function makeLastingUrl(url, pixels) {
  const size = SIZES.find((one) => one >= pixels * 0.8) ?? SIZES.at(-1);
  return url.replace(/\/\d+(?=(\.webp)?$)/, `/${size}`);
}
