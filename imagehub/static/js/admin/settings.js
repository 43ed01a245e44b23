// Shows a colour's value beside it, and uses the ground once somebody picks one.

for (const input of document.querySelectorAll("input[type=color]")) {
  input.addEventListener("input", () => {
    document.querySelector(`output[for="${input.id}"]`).value = input.value;
    const own = document.querySelector(`input[name="has_${input.id}"]`);
    if (own) own.checked = true;
  });
}
