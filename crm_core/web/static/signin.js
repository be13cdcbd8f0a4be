// The sign-in page's comforts: show the password, warn of Caps Lock, fill in a demo account, sign in without losing what
// was typed when it is refused. The form also works without it.

import { send } from "/static/commands.js";

const by = (id) => document.getElementById(id);
const form = by("signin"), password = by("password"), told = by("told");

by("show").addEventListener("click", (event) => {
  const shown = password.type === "text";
  password.type = shown ? "password" : "text";
  event.currentTarget.setAttribute("aria-pressed", String(!shown));
  event.currentTarget.textContent = shown ? event.currentTarget.dataset.show : event.currentTarget.dataset.hide;
  password.focus();
});

for (const event of ["keydown", "keyup"]) password.addEventListener(event, (now) => { by("caps").hidden = !now.getModifierState?.("CapsLock"); });

for (const button of document.querySelectorAll(".accounts button")) {
  button.addEventListener("click", () => {
    by("login").value = button.dataset.login;
    password.value = button.dataset.password;
    form.querySelector(".primary").focus();
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector(".primary");
  if (button.getAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  told.hidden = true;
  try {
    await send("POST", "/api/v1/sign-in", { login: by("login").value.trim(), password: password.value });
    location.assign(form.dataset.next || "/");
  } catch (refused) {
    told.textContent = refused.message;
    told.hidden = false;
    password.select();
    button.removeAttribute("aria-busy");
  }
});
