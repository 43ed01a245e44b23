// The viewer's label: what the label beside a work says, in a panel that folds. It takes the end
// side of a wide window, and the lower part of a narrow one, in place of the filmstrip.

import { icon, make } from "./dom.js";
import { makeName } from "./kept.js";
import { t } from "./words.js";

const KEPT = makeName("label");
const WIDTH_PX = 360;

export class Label {
  element = make("aside", { className: "viewer-label", id: "viewer-label", ariaLabel: t("about") });
  isOpen;
  #narrow = matchMedia("(max-width: 700px)");

  /** It is open if it was left so; but a narrow window belongs to the picture. @param {Work} work */
  constructor({ title, label, url }) {
    const link = make("a", { href: url, className: "viewer-label-link" }, t("work_page"), " ");
    link.append(icon("arrow-right"));
    const words = label.map((part) => part.cloneNode(true));
    this.element.append(make("h2", { dir: "auto" }, title), ...words, link);
    // It scrolls itself; elsewhere in the viewer the wheel zooms.
    this.element.addEventListener("wheel", (event) => event.stopPropagation());
    this.isOpen = !this.#narrow.matches && localStorage.getItem(KEPT) === "on";
  }

  /** Put it into the viewer. @param {HTMLElement} viewer @param {HTMLElement} button toggles it */
  attach(viewer, button) {
    this.viewer = viewer;
    this.button = button;
    button.setAttribute("aria-controls", this.element.id);
    viewer.append(this.element);
    this.#draw();
  }

  toggle() {
    this.isOpen = !this.isOpen;
    if (!this.#narrow.matches) localStorage.setItem(KEPT, this.isOpen ? "on" : "off");
    this.#draw();
  }

  #draw() {
    this.element.hidden = !this.isOpen;
    this.viewer?.classList.toggle("has-label", this.isOpen);
    if (this.button) this.button.ariaExpanded = String(this.isOpen);
  }

  /** The room that it takes from the picture, in pixels. */
  get room() {
    if (!this.isOpen) return { right: 0, bottom: 0 };
    if (!this.#narrow.matches) return { right: WIDTH_PX, bottom: 0 };
    return { right: 0, bottom: this.element.offsetHeight };
  }
}
