// Share links: the end of each by the clock of this device, and the day of a new one.

import { find, findAll } from "../dom.js";
import { locale, t } from "../words.js";
import "./copy.js";

// A link that expires at midnight here is shown with its last day, any other with the minute.
for (const time of findAll(document, "time[data-end]", HTMLTimeElement)) {
  const end = new Date(time.dateTime);
  const day = end.toLocaleDateString(locale, { day: "numeric", month: "long", year: "numeric" });
  const minute = end.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  time.title = time.textContent;
  time.textContent = minute === "23:59" ? day : `${day}, ${minute}`;
}

// The form tells how far the clock will be behind UTC at the end of that day, summer or winter.
const lastDay = find(document, "#last_day", HTMLInputElement);
if (lastDay) {
  for (const place of findAll(document, "[data-utc]")) place.textContent = ` ${t("your_time")}`;
  lastDay.form?.addEventListener("formdata", ({ formData }) => {
    if (!lastDay.value) return;
    const end = new Date(`${lastDay.value}T23:59:59`);
    formData.set("minutes_behind_utc", String(end.getTimezoneOffset()));
  });
}
