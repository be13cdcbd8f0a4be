// Asks for a seat state: ready, or paused with a reason. Ready is not asked for without a microphone: the cure is told
// instead, beside the button. What the state is then, the feed says.

import { command, note } from "/static/commands.js";
import { microphoneWords } from "/static/microphone.js";
import { phone, recheckMicrophone } from "/static/softphone.js";

export async function wish(button, body) {
  const known = phone.state.microphone;
  if (body.state === "ready" && phone.state.wanted && known && known !== "ok" && (await recheckMicrophone()) !== "ok") {
    note(button, microphoneWords(phone.state.microphone), "refusal");
    return null;
  }
  return command(button, "POST", "/api/v1/seat/state", body);
}
