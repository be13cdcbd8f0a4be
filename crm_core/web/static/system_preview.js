// The preview of what somebody may: another person is shown as soon as they are chosen. It sends nothing else.

export function mount(el) {
  el.querySelector("#as").addEventListener("change", (event) => event.target.form.requestSubmit());
  return () => {};
}
