// A work life-size: the screen is measured with a bank card, once for each browser.
//
// Source of the card's size: ISO/IEC 7810, ID-1.

import { get } from "./dom.js";
import { makeName } from "./kept.js";
import { t } from "./words.js";

const CARD_MM = { long: 85.6, short: 53.98 };
const KEPT = makeName("pixels-per-mm");
// CSS takes an inch as 96 pixels; on phones it is about 160.
const USUAL = matchMedia("(pointer: coarse)").matches ? 6.3 : 96 / 25.4;

/** Return how many CSS pixels of this window are a millimetre, null while nobody has measured it.
 *
 * Kept are the screen's own pixels, since the browser's zoom changes those of CSS. */
function read() {
  const kept = Number(localStorage.getItem(KEPT)) / devicePixelRatio;
  return kept > 0.5 && kept < 40 ? kept : null;
}

/** @param {HTMLElement} section with the outline of a card and the work */
export function setUpScreen(section) {
  const calibration = get(section, "[data-calibration]");
  const life = get(section, "[data-life]");
  const slider = get(section, "[data-slider]", HTMLInputElement);
  const card = get(section, "[data-card]", SVGSVGElement);
  const frame = get(section, "[data-frame]");
  const img = get(section, "[data-work]", HTMLImageElement);
  const size = { width: Number(section.dataset.width), height: Number(section.dataset.height) };
  section.hidden = false;

  function drawCard() {
    const perMm = Number(slider.value);
    // A phone is narrower than a card is long.
    const isUpright = CARD_MM.long * perMm > calibration.clientWidth;
    const [width, height] = isUpright ? [CARD_MM.short, CARD_MM.long] : [CARD_MM.long, CARD_MM.short];
    card.setAttribute("viewBox", `0 0 ${width} ${height}`);
    card.setAttribute("width", String(width * perMm));
    card.setAttribute("height", String(height * perMm));
    const rect = get(card, "rect", SVGRectElement);
    rect.setAttribute("x", "0");
    rect.setAttribute("y", "0");
    rect.setAttribute("width", String(width));
    rect.setAttribute("height", String(height));
    slider.setAttribute("aria-valuetext", t("card", { count: Math.round(width * perMm) }));
  }

  function drawWork() {
    const perMm = read();
    life.hidden = perMm === null;
    calibration.hidden = perMm !== null;
    if (perMm === null) {
      drawCard();
      return;
    }
    const width = size.width * perMm;
    const height = size.height * perMm;
    img.style.width = `${width}px`;
    img.style.height = `${height}px`;
    const share =
      (Math.min(width, frame.clientWidth) * Math.min(height, innerHeight * 0.8)) / (width * height);
    const percent = Math.max(1, Math.round(share * 100));
    get(section, "[data-fit]").textContent = share > 0.995 ? t("fits") : t("larger", { percent });
    frame.scrollTo(
      (frame.scrollWidth - frame.clientWidth) / 2,
      (frame.scrollHeight - frame.clientHeight) / 2,
    );
  }

  slider.value = String(read() ?? USUAL);
  slider.addEventListener("input", drawCard);
  get(section, "[data-done]").addEventListener("click", () => {
    localStorage.setItem(KEPT, String(Number(slider.value) * devicePixelRatio));
    drawWork();
    get(section, "h2").scrollIntoView();
    frame.focus({ preventScroll: true });
  });
  get(section, "[data-again]").addEventListener("click", () => {
    slider.value = String(read() ?? USUAL);
    localStorage.removeItem(KEPT);
    drawWork();
    slider.focus();
  });
  addEventListener("resize", drawWork);

  // With a mouse it is dragged; fingers scroll it by themselves.
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!frame.hasPointerCapture(event.pointerId) || event.pointerType !== "mouse") return;
    frame.scrollBy(-event.movementX, -event.movementY);
  });
  drawWork();
}
