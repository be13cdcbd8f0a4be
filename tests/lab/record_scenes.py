"""The scenes that are recorded: one plain story each, by name. What the board shall make of each stands in tests/captures/NAME.txt.

A scene says who is there and what they do, and waits for what the PBX says rather than for time; it decides nothing by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from config.demo.callers import Caller
from config.demo.sounds import tone, write_wav
from tests.lab.record_phone import ANSWERS, BUSY, DECLINES, RINGS, VACANT, Habit, Phone, PhoneFailed, Talk
from tests.lab.record_stage import Stage

Scene = Callable[[Stage], Awaitable[None]]
SCENES: Final[dict[str, Scene]] = {}
SLOWLY: Final = Habit(answer_s=1.0)


def scene(name: str) -> Callable[[Scene], Scene]:
    def keep(play: Scene) -> Scene:
        SCENES[name] = play
        return play

    return keep


async def talking(stage: Stage, number: str = "8001", habit: Habit = ANSWERS) -> tuple[Talk, Phone]:
    """A caller who talks with seat 1001, through the queue behind `number`."""
    queue = {"8001": "support", "8002": "sales", "8110": "sales"}[number]
    seat = await stage.seat("1001", habit, queue)
    caller = await stage.caller(number)
    await stage.answered("1001")
    await asyncio.sleep(0.5)
    return caller, seat


# ---------------------------------------------------------------------------------------------------------------- lines


@scene("18-ring-all-one-winner")
async def ring_all_one_winner(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "all")
    await stage.seat("1002", SLOWLY, "all")
    await stage.seat("1003", RINGS, "all")
    caller = await stage.caller("8003")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("18b-ring-all-nobody")
async def ring_all_nobody(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "all")
    await stage.seat("1002", RINGS, "all")
    caller = await stage.caller("8003")
    await caller.down()


@scene("19-direct-busy")
async def direct_busy(stage: Stage) -> None:
    await stage.seat("1001", BUSY)
    caller = await stage.calling("8101")
    await caller.down()


@scene("19b-direct-no-answer")
async def direct_no_answer(stage: Stage) -> None:
    await stage.seat("1001", RINGS)
    caller = await stage.calling("8101")
    await caller.down()


@scene("19c-direct-given-up")
async def direct_given_up(stage: Stage) -> None:
    await stage.seat("1001", RINGS)
    caller = await stage.calling("8102")
    await stage.rings("1001")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("20-overflow")
async def overflow(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "short")
    await stage.seat("1002", ANSWERS, "sales")
    caller = await stage.caller("8103")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("21-queue-full")
async def queue_full(stage: Stage) -> None:
    first = await stage.caller("8104")
    await stage.heard("QueueCallerJoin", Queue="narrow")
    second = await stage.caller("8104", who="13900000002")
    await second.down()
    await asyncio.sleep(0.5)
    first.hang_up()


@scene("21b-queue-nobody")
async def queue_nobody(stage: Stage) -> None:
    caller = await stage.caller("8105")
    await caller.down()


@scene("21c-queue-emptied")
async def queue_emptied(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "staffed")
    caller = await stage.caller("8105")
    await stage.heard("AgentCalled")
    await asyncio.sleep(0.5)
    await stage.ami.action("QueueRemove", Queue="staffed", Interface="PJSIP/1001")
    await caller.down()


@scene("21d-closed")
async def closed(stage: Stage) -> None:
    caller = await stage.caller("8106")
    await caller.down()


@scene("21e-own-queue-full")
async def own_queue_full(stage: Stage) -> None:
    stage.remark("the second caller comes by the product's own way to a queue that holds one")
    first = await stage.caller("8005")
    await stage.heard("QueueCallerJoin", Queue="narrow")
    second = await stage.caller("8005", who="13900000002")
    await second.down()
    await asyncio.sleep(0.5)
    first.hang_up()


@scene("21f-own-queue-nobody")
async def own_queue_nobody(stage: Stage) -> None:
    stage.remark("the caller comes by the product's own way to a queue that lets nobody in while nobody works in it")
    caller = await stage.caller("8006")
    await caller.down()


# ------------------------------------------------------------------------------------------------------ blind transfers


@scene("22-blind-transfer-no-answer")
async def blind_no_answer(stage: Stage) -> None:
    caller, seat = await talking(stage)
    await stage.seat("1002", RINGS)
    stage.remark("1001 refers its caller to 6002, which rings 1002 for two seconds (SIP REFER)")
    seat.last.refer("6002")
    await caller.down()


@scene("22b-blind-transfer-to-queue")
async def blind_to_queue(stage: Stage) -> None:
    caller, seat = await talking(stage)
    await stage.seat("1002", SLOWLY, "sales")
    stage.remark("1001 refers its caller to 8201, the queue sales (SIP REFER)")
    seat.last.refer("8201")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("22c-blind-transfer-outside")
async def blind_outside(stage: Stage) -> None:
    caller, _ = await talking(stage)
    await stage.outside(SLOWLY)
    inward = await stage.leg("carrier")
    stage.remark("1001 passes its caller on to an outside number (action BlindTransfer)")
    await stage.ami.action("BlindTransfer", Channel=await stage.leg("1001"), Context="lingxi-seats", Exten="902188887777")
    await stage.answered("carrier", after=inward)
    await asyncio.sleep(1)
    caller.hang_up()


@scene("22d-blind-transfer-no-such-extension")
async def blind_no_such_extension(stage: Stage) -> None:
    caller, seat = await talking(stage)
    stage.remark("1001 refers its caller to 5, which is nobody (SIP REFER): the PBX says no, the two go on")
    seat.last.refer("5")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("22e-blind-transfer-vacant-number")
async def blind_vacant(stage: Stage) -> None:
    caller, seat = await talking(stage)
    await stage.outside(VACANT)
    stage.remark("1001 refers its caller to an outside number that is not in service (SIP REFER)")
    seat.last.refer("902188880000")
    await caller.down()


@scene("22f-blind-transfer-busy-seat")
async def blind_busy(stage: Stage) -> None:
    caller, seat = await talking(stage)
    await stage.seat("1002", BUSY)
    stage.remark("1001 refers its caller to 1002, who is busy (SIP REFER)")
    seat.last.refer("1002")
    await caller.down()


@scene("22g-blind-transfer-from-hold")
async def blind_from_hold(stage: Stage) -> None:
    caller, seat = await talking(stage)
    await stage.seat("1002", SLOWLY)
    seat.last.hold(True)
    await asyncio.sleep(0.5)
    stage.remark("1001 has its caller on hold and refers it to 1002 (SIP REFER)")
    seat.last.refer("1002")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


# --------------------------------------------------------------------------------------------------- attended transfers


async def consult(seat: Phone, number: str) -> Talk:
    """The seat puts its caller on hold and calls somebody, on a second call of its own."""
    seat.last.hold(True)
    await asyncio.sleep(0.3)
    return await seat.call(number)


@scene("23-attended-transfer-to-queue")
async def attended_to_queue(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    await stage.seat("1002", SLOWLY, "sales")
    second = await (await consult(seat, "8201")).up()
    await stage.answered("1002")
    await asyncio.sleep(0.5)
    stage.remark("1001 hands its caller to whom the queue sales gave it (SIP REFER with Replaces)")
    first.refer("8201", second)
    await stage.heard("AttendedTransfer")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("23f-attended-transfer-into-waiting")
async def attended_into_waiting(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    second = await (await consult(seat, "8201")).up()
    await stage.heard("QueueCallerJoin", Queue="sales")
    await asyncio.sleep(0.5)
    stage.remark("1001 hands its caller its own place in the queue sales (SIP REFER with Replaces)")
    first.refer("8201", second)
    await stage.heard("AttendedTransfer")
    await asyncio.sleep(0.5)
    await stage.seat("1002", SLOWLY, "sales")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("23b-attended-transfer-outside")
async def attended_outside(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    await stage.outside(SLOWLY)
    second = await (await consult(seat, "902188887777")).up()
    await asyncio.sleep(0.5)
    stage.remark("1001 hands its caller to the one outside (SIP REFER with Replaces)")
    first.refer("902188887777", second)
    await stage.heard("AttendedTransfer")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("23c-consulted-seat-busy")
async def consulted_busy(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    await stage.seat("1002", BUSY)
    second = await consult(seat, "1002")
    await second.down()
    first.hold(False)
    await stage.heard("Unhold")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("23d-attended-transfer-busy-ami")
async def attended_busy(stage: Stage) -> None:
    caller, _ = await talking(stage, "8110")
    await stage.seat("1002", BUSY)
    stage.remark("1001 consults 1002, who is busy (action Atxfer); the PBX gives it its caller back")
    await stage.ami.action("Atxfer", Channel=await stage.leg("1001"), Context="lingxi-seats", Exten="1002")
    await stage.heard("Unhold")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("23e-attended-transfer-to-seat")
async def attended_to_seat(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    await stage.seat("1002", SLOWLY)
    second = await (await consult(seat, "1002")).up()
    await asyncio.sleep(0.5)
    stage.remark("1001 hands its caller to 1002 (SIP REFER with Replaces)")
    first.refer("1002", second)
    await stage.heard("AttendedTransfer")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("23g-caller-leaves-during-consultation")
async def caller_leaves(stage: Stage) -> None:
    caller, seat = await talking(stage)
    await stage.seat("1002", SLOWLY)
    second = await (await consult(seat, "1002")).up()
    await asyncio.sleep(0.5)
    stage.remark("the caller hangs up while 1001 talks with 1002; the two go on for a moment")
    caller.hang_up()
    await asyncio.sleep(0.5)
    second.hang_up()


@scene("23h-caller-leaves-during-consultation-ami")
async def caller_leaves_ami(stage: Stage) -> None:
    caller, seat = await talking(stage, "8110")
    await stage.seat("1002", SLOWLY)
    await stage.ami.action("Atxfer", Channel=await stage.leg("1001"), Context="lingxi-seats", Exten="1002")
    await stage.answered("1002")
    await asyncio.sleep(0.5)
    stage.remark("the caller hangs up while 1001 talks with 1002 (action Atxfer); the two go on for a moment")
    caller.hang_up()
    await asyncio.sleep(0.5)
    seat.last.hang_up()


@scene("24-blonde-answered")
async def blonde_answered(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    await stage.seat("1002", Habit(answer_s=1.5))
    second = await consult(seat, "1002")
    await asyncio.sleep(0.5)
    stage.remark("1001 hands its caller on while 1002 still rings (SIP REFER with Replaces)")
    first.refer("1002", second)
    await stage.heard("AttendedTransfer")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("24b-blonde-unanswered")
async def blonde_unanswered(stage: Stage) -> None:
    caller, seat = await talking(stage)
    first = seat.last
    await stage.seat("1002", RINGS)
    second = await consult(seat, "6002")
    await asyncio.sleep(0.5)
    stage.remark("1001 hands its caller on while 1002 still rings, which never picks up (SIP REFER with Replaces)")
    first.refer("6002", second)
    await stage.heard("AttendedTransfer")
    await caller.down()


@scene("24c-blonde-answered-ami")
async def blonde_answered_ami(stage: Stage) -> None:
    caller, seat = await talking(stage, "8110")
    await stage.seat("1002", Habit(answer_s=1.5))
    stage.remark("1001 consults 1002 (action Atxfer) and hangs up while it rings")
    await stage.ami.action("Atxfer", Channel=await stage.leg("1001"), Context="lingxi-seats", Exten="1002")
    await stage.rings("1002")
    await asyncio.sleep(0.3)
    seat.last.hang_up()
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("24d-blonde-unanswered-ami")
async def blonde_unanswered_ami(stage: Stage) -> None:
    caller, seat = await talking(stage, "8110")
    await stage.seat("1002", RINGS)
    stage.remark("1001 consults 1002 (action Atxfer) and hangs up while it rings; nobody answers, so the PBX rings 1001 again")
    await stage.ami.action("Atxfer", Channel=await stage.leg("1001"), Context="lingxi-seats", Exten="1002")
    await stage.rings("1002")
    await asyncio.sleep(0.3)
    old = await stage.leg("1001")
    seat.last.hang_up()
    await stage.answered("1001", after=old)
    await asyncio.sleep(1)
    caller.hang_up()


# ---------------------------------------------------------------------------------------- forwarding, pick-up, parking


@scene("25-forward-302")
async def forward_302(stage: Stage) -> None:
    await stage.seat("1001", Habit(forward="1002"))
    await stage.seat("1002", SLOWLY)
    stage.remark("the phone 1001 sends its caller on to 1002 (SIP 302)")
    caller = await stage.caller("8112")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("25b-forward-302-in-queue")
async def forward_302_in_queue(stage: Stage) -> None:
    await stage.seat("1001", Habit(forward="1002"), "sales")
    await stage.seat("1002", SLOWLY)
    stage.remark("the phone 1001 sends the queue's caller on to 1002 (SIP 302)")
    caller = await stage.caller("8111")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("25c-forward-dialplan")
async def forward_dialplan(stage: Stage) -> None:
    await stage.seat("1001", SLOWLY)
    stage.remark("the number leads to the seat through the dialplan (Dial of a Local channel)")
    caller = await stage.caller("8102")
    await stage.answered("1001")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("26-pick-up")
async def pick_up(stage: Stage) -> None:
    await stage.seat("1001", RINGS)
    colleague = await stage.seat("1002")
    caller = await stage.calling("8102")
    await stage.rings("1001")
    await asyncio.sleep(0.5)
    stage.remark("1002 picks up what rings at 1001")
    await colleague.call("*81001")
    await caller.up()
    await asyncio.sleep(1)
    caller.hang_up()


@scene("26b-pick-up-in-queue")
async def pick_up_in_queue(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "sales")
    colleague = await stage.seat("1002")
    caller = await stage.caller("8002")
    await stage.rings("1001")
    await asyncio.sleep(0.5)
    stage.remark("1002 picks up what the queue rings at 1001")
    await colleague.call("*81001")
    await stage.heard("AgentConnect")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("27-park-and-retrieve")
async def park_and_retrieve(stage: Stage) -> None:
    caller, seat = await talking(stage)
    colleague = await stage.seat("1002")
    stage.remark("1001 parks its caller by referring it to 700")
    seat.last.refer("700")
    parked = await stage.heard("ParkedCall")
    seat.last.hang_up()
    await asyncio.sleep(0.5)
    stage.remark("1002 takes the caller out of the parking")
    await colleague.call(parked["ParkingSpace"])
    await stage.heard("UnParkedCall")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("27b-park-times-out")
async def park_times_out(stage: Stage) -> None:
    caller, seat = await talking(stage)
    old = await stage.leg("1001")
    stage.remark("1001 parks its caller by referring it to 700; after two seconds the PBX rings 1001 again")
    seat.last.refer("700")
    await stage.heard("ParkedCall")
    seat.last.hang_up()
    await stage.answered("1001", after=old)
    await asyncio.sleep(1)
    caller.hang_up()


@scene("27c-park-given-up")
async def park_given_up(stage: Stage) -> None:
    caller, seat = await talking(stage)
    stage.remark("1001 parks its caller by referring it to 700; the caller hangs up there")
    seat.last.refer("700")
    await stage.heard("ParkedCall")
    seat.last.hang_up()
    await asyncio.sleep(0.5)
    caller.hang_up()


# ------------------------------------------------------------------------------------------------ inside, and to outside


@scene("28-internal-answered")
async def internal_answered(stage: Stage) -> None:
    seat = await stage.seat("1001")
    await stage.seat("1002", SLOWLY)
    call = await (await seat.call("1002")).up()
    await asyncio.sleep(1)
    call.hang_up()


@scene("28b-internal-no-answer")
async def internal_no_answer(stage: Stage) -> None:
    seat = await stage.seat("1001")
    await stage.seat("1002", RINGS)
    call = await seat.call("6002")
    await call.down()


@scene("28c-internal-busy")
async def internal_busy(stage: Stage) -> None:
    seat = await stage.seat("1001")
    await stage.seat("1002", BUSY)
    call = await seat.call("1002")
    await call.down()


async def out(stage: Stage, habit: Habit) -> None:
    seat = await stage.seat("1001")
    await stage.outside(habit)
    call = await seat.call("902188887777")
    try:
        await call.up()
    except PhoneFailed:
        return
    await asyncio.sleep(1)
    call.hang_up()


@scene("29-outgoing-answered")
async def outgoing_answered(stage: Stage) -> None:
    await out(stage, SLOWLY)


@scene("29b-outgoing-busy")
async def outgoing_busy(stage: Stage) -> None:
    await out(stage, BUSY)


@scene("29c-outgoing-no-such-number")
async def outgoing_vacant(stage: Stage) -> None:
    await out(stage, VACANT)


@scene("29d-outgoing-rejected")
async def outgoing_rejected(stage: Stage) -> None:
    await out(stage, DECLINES)


@scene("29e-outgoing-given-up")
async def outgoing_given_up(stage: Stage) -> None:
    seat = await stage.seat("1001")
    await stage.outside(RINGS)
    call = await seat.call("902188887777")
    await asyncio.wait_for(call.rang.wait(), 5)
    await asyncio.sleep(1)
    call.hang_up()


@scene("29f-click-to-dial-busy")
async def click_to_dial_busy(stage: Stage) -> None:
    await stage.seat("1001")
    await stage.outside(BUSY)
    await click(stage)


@scene("29g-click-to-dial-seat-does-not-answer")
async def click_to_dial_seat_silent(stage: Stage) -> None:
    await stage.seat("1001", RINGS)
    await click(stage)


async def click(stage: Stage) -> None:
    await stage.ami.action(
        "Originate",
        Channel="PJSIP/1001",
        Context="lingxi-click",
        Exten="02188887777",
        Priority="1",
        CallerID="1001",
        Timeout="2000",
        ChannelId="click-1",
        Async="true",
    )
    await stage.heard("Hangup", Uniqueid="click-1")


# -------------------------------------------------------------------------------------------------------- other endings


@scene("30-voicemail")
async def voicemail(stage: Stage) -> None:
    stage.remark("nobody answers in two seconds, so the caller leaves a message and hangs up")
    sound = write_wav(stage.process.home / "work/tone.wav", tone(440, 3))
    caller = await stage.callers.place(Caller(number="13900000001", to="8108", name="Maria Schmidt", sound=sound, hold_s=7.5))
    await caller.result()


@scene("31-menu-left")
async def menu_left(stage: Stage) -> None:
    caller = await stage.caller("8109")
    await asyncio.sleep(1)
    stage.remark("the caller hangs up while the menu speaks")
    caller.hang_up()


@scene("31b-menu-to-queue")
async def menu_to_queue(stage: Stage) -> None:
    await stage.seat("1002", ANSWERS, "sales")
    caller = await stage.caller("8109")
    await asyncio.sleep(1)
    caller.key("1")
    await stage.answered("1002")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("32-callback-by-key")
async def callback_by_key(stage: Stage) -> None:
    caller = await stage.caller("8107")
    await stage.heard("QueueCallerJoin")
    await asyncio.sleep(1)
    stage.remark("the caller presses 1: call me back")
    caller.key("1")
    await caller.down()


@scene("32b-left-by-key")
async def left_by_key(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "leavable")
    caller = await stage.caller("8107")
    await stage.heard("AgentCalled")
    await asyncio.sleep(1)
    stage.remark("the caller presses 2 and leaves the line")
    caller.key("2")
    await caller.down()


@scene("33-reload")
async def reload(stage: Stage) -> None:
    caller, _ = await talking(stage)
    stage.remark("core reload while they talk")
    await stage.process.console("core reload")
    await asyncio.sleep(1.5)
    caller.hang_up()


@scene("33b-reload-while-waiting")
async def reload_while_waiting(stage: Stage) -> None:
    await stage.seat("1001", Habit(answer_s=2.5), "support")
    caller = await stage.caller("8001")
    await stage.heard("AgentCalled")
    stage.remark("module reload of the queues while the caller waits and 1001 rings")
    await stage.process.console("module reload app_queue.so")
    await stage.answered("1001")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("34-both-hang-up")
async def both_hang_up(stage: Stage) -> None:
    caller, seat = await talking(stage)
    stage.remark("both hang up in the same instant")
    caller.hang_up()
    seat.last.hang_up()


@scene("35-local-member")
async def local_member(stage: Stage) -> None:
    await stage.seat("1001", SLOWLY, "sales", interface="Local/1001@lingxi-inside/n")
    caller = await stage.caller("8002")
    await stage.answered("1001")
    await asyncio.sleep(1)
    caller.hang_up()


@scene("35b-local-member-optimised")
async def local_member_optimised(stage: Stage) -> None:
    await stage.seat("1001", SLOWLY, "sales", interface="Local/1001@lingxi-inside")
    caller = await stage.caller("8002")
    await stage.answered("1001")
    await asyncio.sleep(1.5)
    caller.hang_up()


@scene("35c-local-member-no-answer")
async def local_member_no_answer(stage: Stage) -> None:
    await stage.seat("1001", RINGS, "short", interface="Local/1001@lingxi-inside/n")
    caller = await stage.caller("8004")
    await caller.down()
