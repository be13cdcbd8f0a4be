// The sign-in page's comforts: show the password, warn of Caps Lock, fill in a demo account. The form is a plain one and
// works without it.

const by = (id) => document.getElementById(id);
const form = by("signin"), password = by("password");

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

// One press signs in once; the button says that it is under way.
form.addEventListener("submit", (event) => {
  const button = form.querySelector(".primary");
  if (button.getAttribute("aria-busy")) event.preventDefault();
  button.setAttribute("aria-busy", "true");
});
