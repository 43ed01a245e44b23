// Two shots side by side. What is done to one, by wheel, drag, pinch or key, is done to both: the
// same part of each picture stays in view.

const MAX_ZOOM = 12;

/**
 * Shows two shots until the visitor closes the dialog.
 * @param {object[]} shots the work's shots; `first` is the index of the one in view.
 * @param {AbortSignal} signal closes it too.
 * @returns {Promise<void>} resolves when it is closed.
 */
export function compareShots({ shots, first, icon, sayShot, words, signal }) {
  const dialog = document.createElement("dialog");
  dialog.className = "compare";
  dialog.setAttribute("aria-label", words.compare);
  // x and y shift the picture by parts of its pane.
  const view = { zoom: 1, x: 0, y: 0 };
  const chosen = [first, (first + 1) % shots.length];
  const panes = chosen.map((index, side) => makePane(side, index));

  function makePane(side, index) {
    const figure = document.createElement("figure");
    const frame = document.createElement("div");
    frame.className = "compare-frame";
    const img = document.createElement("img");
    img.draggable = false;
    frame.append(img);
    const select = document.createElement("select");
    select.setAttribute("aria-label", side ? words.right : words.left);
    shots.forEach((shot, i) => {
      const option = new Option(sayShot(shot), i, i === index, i === index);
      select.append(option);
    });
    const put = () => {
      const shot = shots[Number(select.value)];
      img.onerror = () => {
        img.onerror = null;
        img.src = shot.lasting;
      };
      img.src = shot.src;
      img.alt = shot.alt;
    };
    select.addEventListener("change", put);
    put();
    figure.append(frame, select);
    return { figure, frame, img };
  }

  function paint() {
    const most = (view.zoom - 1) / 2 + 0.25 * (view.zoom > 1);
    view.x = Math.min(most, Math.max(-most, view.x));
    view.y = Math.min(most, Math.max(-most, view.y));
    for (const { img } of panes) {
      img.style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
    }
  }

  /** Zooms so that the point (parts of the pane from its middle) stays where it is. */
  function zoomTo(zoom, px = 0, py = 0) {
    const next = Math.min(MAX_ZOOM, Math.max(1, zoom));
    const ratio = next / view.zoom;
    view.x = px - (px - view.x) * ratio;
    view.y = py - (py - view.y) * ratio;
    view.zoom = next;
    paint();
  }

  function locate(event, frame) {
    const box = frame.getBoundingClientRect();
    return [
      (event.clientX - box.left) / box.width - 0.5,
      (event.clientY - box.top) / box.height - 0.5,
    ];
  }

  for (const { frame } of panes) {
    const fingers = new Map();
    let spread = 0;
    const getSpread = () => {
      const [one, other] = [...fingers.values()];
      return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    };
    frame.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        zoomTo(view.zoom * Math.exp(-event.deltaY / 400), ...locate(event, frame));
      },
      { passive: false },
    );
    frame.addEventListener("dblclick", (event) => {
      if (view.zoom > 1.01) zoomTo(1);
      else zoomTo(3, ...locate(event, frame));
    });
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) spread = getSpread();
    });
    frame.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        const now = getSpread();
        zoomTo((view.zoom * now) / (spread || now), ...locate(event, frame));
        spread = now;
      } else {
        view.x += (event.clientX - before.clientX) / frame.clientWidth;
        view.y += (event.clientY - before.clientY) / frame.clientHeight;
        paint();
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      frame.addEventListener(name, (event) => fingers.delete(event.pointerId));
    }
  }

  dialog.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLSelectElement && event.key.startsWith("Arrow")) return;
    const step = 0.08;
    const moves = {
      "+": () => zoomTo(view.zoom * 1.4),
      "=": () => zoomTo(view.zoom * 1.4),
      "-": () => zoomTo(view.zoom / 1.4),
      0: () => zoomTo(1),
      ArrowLeft: () => (view.x += step),
      ArrowRight: () => (view.x -= step),
      ArrowUp: () => (view.y += step),
      ArrowDown: () => (view.y -= step),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
    paint();
  });

  const close = document.createElement("button");
  close.type = "button";
  close.className = "compare-close";
  close.innerHTML = icon("x");
  close.title = words.compare_end;
  close.setAttribute("aria-label", words.compare_end);
  close.addEventListener("click", () => dialog.close());

  if (signal.aborted) return Promise.resolve();
  signal.addEventListener("abort", () => dialog.close(), { once: true });
  close.autofocus = true;
  dialog.append(...panes.map(({ figure }) => figure), close);
  document.body.append(dialog);
  dialog.showModal();
  paint();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      // The key that closed this must not close the viewer too.
      setTimeout(resolve);
    });
  });
}
