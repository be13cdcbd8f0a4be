// What the System pages share: narrowing a list that is on the page by words, and panels that open for one thing and give the
// focus back. It is no page module and sends nothing.

export function findIn(input, things, nothing) {
  if (!input) return;
  const draw = () => {
    const wanted = input.value.trim().toLowerCase();
    let left = 0;
    for (const one of things) {
      const there = !wanted || (one.dataset.words || one.textContent).toLowerCase().includes(wanted);
      one.hidden = !there;
      left += there ? 1 : 0;
    }
    if (nothing) nothing.hidden = left > 0;
  };
  input.addEventListener("input", draw);
  draw();
}

// Dialogs stay in the page below the bar; Escape closes and the opener has the focus again.
export function panel(dialog) {
  let opener = null;
  const close = () => { dialog.close(); opener?.isConnected && opener.focus(); };
  dialog.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); close(); } });
  dialog.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) close(); });
  return {
    open(by) {
      opener = by;
      if (!dialog.open) dialog.show();
      (dialog.querySelector("[autofocus]") || dialog.querySelector("input, select, button"))?.focus();
    },
    close,
  };
}
