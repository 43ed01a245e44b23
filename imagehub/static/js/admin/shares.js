// A new link's address, chosen at once and copied by a button; the end of links by this clock.

import { toast } from "./common.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = !navigator.clipboard;
  field.addEventListener("focus", () => field.select());
  field.focus();
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      toast("The address is copied.");
    } catch {
      field.select();
      toast("Please copy the marked address with the keyboard.");
    }
  });
}

// A link that ends with a day here is said to end with that day, one made elsewhere at its minute.
for (const time of document.querySelectorAll("time[data-end]")) {
  const end = new Date(time.dateTime);
  const day = end.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  const minute = end.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  time.title = time.textContent;
  time.textContent = minute === "23:59" ? day : `${day}, ${minute}`;
}

// The form tells how far the clock will be behind UTC at the end of the day, summer or winter.
const lastDay = document.getElementById("last_day");
if (lastDay) {
  for (const words of document.querySelectorAll("[data-utc]")) words.textContent = " where you are";
  lastDay.form.addEventListener("formdata", ({ formData }) => {
    const end = new Date(`${lastDay.value}T23:59:59`);
    if (lastDay.value) formData.set("minutes_behind_utc", end.getTimezoneOffset());
  });
}
