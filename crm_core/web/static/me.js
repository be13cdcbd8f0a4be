// Own settings: the password's form. Language, appearance and density are settings.js, for the bar has them too.

import { command } from "/static/commands.js";
import { toast } from "/static/notices.js";
import { markSettings } from "/static/settings.js";
import { t } from "/static/words.js";

export function mount(el) {
  markSettings();
  const form = el.querySelector("#password-form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const done = await command(form.querySelector("[data-test=change-password]"), "PUT", "/api/v1/me/password", { old: form.elements.old.value, new: form.elements.new.value });
    if (!done) return;
    form.reset();
    el.querySelector("[data-test=must-change]")?.remove();
    toast(t("Password changed. Other places you were signed in at must sign in again."));
  });
  return () => {};
}
