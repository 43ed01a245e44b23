// The viewer's filmstrip: a small picture of each shot, to go to it.

import { findAll, make } from "./dom.js";
import { makeName } from "./kept.js";
import { makeLastingUrl } from "./renditions.js";
import { t } from "./words.js";

const KEPT = makeName("strip");
export const STRIP_PX = 84;

export class Filmstrip {
  element = make("nav", { className: "viewer-strip", ariaLabel: t("shots") });
  isOpen;

  /** @param {Shot[]} shots @param {(shot: Shot) => string} describe
   * @param {(index: number) => void} goTo */
  constructor(shots, describe, goTo) {
    this.isOpen = shots.length > 1 && localStorage.getItem(KEPT) !== "off";
    this.element.hidden = !this.isOpen;
    shots.forEach((shot, index) => {
      const img = make("img", { alt: "", width: shot.width, height: shot.height });
      img.onerror = () => {
        img.onerror = null;
        img.src = makeLastingUrl(shot.lasting, 480);
      };
      img.src = shot.small;
      const onclick = () => goTo(index);
      const button = make("button", { type: "button", ariaLabel: describe(shot), onclick }, img);
      if (shot.video) button.dataset.length = shot.length;
      this.element.append(button);
    });
  }

  toggle() {
    this.isOpen = !this.isOpen;
    localStorage.setItem(KEPT, this.isOpen ? "on" : "off");
    this.element.hidden = !this.isOpen;
  }

  /** Mark a shot, and scroll to it. @param {number} index @param {ScrollBehavior} behavior */
  mark(index, behavior) {
    findAll(this.element, "button").forEach((button, i) => {
      button.ariaCurrent = i === index ? "true" : null;
      if (i !== index) return;
      const left = button.offsetLeft - (this.element.clientWidth - button.clientWidth) / 2;
      this.element.scrollTo({ left, behavior });
    });
  }
}
