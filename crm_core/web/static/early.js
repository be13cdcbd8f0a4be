// Runs before anything is drawn. Until the script that answers a button is there, a press would go nowhere and a form would
// go off to an address of its own: such a press waits, and is made once its page is mounted (the last one, made once).

(() => {
  let held = null;
  const answers = (node) => (node.closest("#page") || document.documentElement).hasAttribute("data-mounted");
  const itself = (node) => node.hasAttribute("popovertarget") || Boolean(node.form?.hasAttribute("action"));

  function hold(event, node) {
    event.preventDefault();
    event.stopImmediatePropagation();
    held?.removeAttribute("aria-busy");
    held = node;
    held.setAttribute("aria-busy", "true");
  }

  window.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (button && !itself(button) && !answers(button)) hold(event, button);
  }, { capture: true });

  window.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("action") && !answers(form)) hold(event, event.submitter || form);
  }, { capture: true });

  document.addEventListener("lingxi:mounted", () => {
    if (held && !answers(held)) return;
    const node = held;
    held = null;
    node?.removeAttribute("aria-busy");
    if (!node?.isConnected) return;
    if (node.requestSubmit) node.requestSubmit(); else node.click();
  });
})();
