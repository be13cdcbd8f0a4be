"""The seat's table and its steps, tried with everything: whatever the agent wants and the PBX says, what the table promises holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.setup.pages import PAGES
from cti.domain.seat import BUSY, STATES, Facts, Intent, Phase, SeatState, Trigger, state_of, step, wants_calls

REASONS = st.sampled_from(["", "lunch", "rest"])
NEXT = st.sampled_from([("", ""), ("ready", ""), ("paused", "rest")])


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    state, reason = draw(NEXT)
    return Intent(
        signed_in=draw(st.booleans()), pause_reason=draw(REASONS), next_state=state, next_reason=reason, wrap_up=draw(st.booleans())
    )


FACTS = st.builds(Facts, registered=st.sampled_from([None, True, False]), phase=st.sampled_from(Phase))
WISHES = st.sampled_from([Trigger.WANT_READY, Trigger.WANT_PAUSE])


@given(intents(), FACTS)
def test_there_is_always_exactly_one_state_and_it_has_a_reason(intent: Intent, facts: Facts) -> None:
    first = next(line for line in STATES if line.holds(intent, facts))
    assert state_of(intent, facts) is first.state and first.because


@given(intents(), FACTS)
def test_nobody_signed_in_is_signed_out_whatever_the_phone_does(intent: Intent, facts: Facts) -> None:
    assert (state_of(intent, facts) is SeatState.SIGNED_OUT) == (not intent.signed_in)


@given(intents(), FACTS)
def test_calls_are_wanted_only_by_somebody_ready_or_being_rung(intent: Intent, facts: Facts) -> None:
    if wants_calls(intent, facts):
        assert intent.signed_in and not intent.pause_reason and not intent.wrap_up
        assert facts.phase in (Phase.NONE, Phase.RINGING)
        assert facts.registered is not False or facts.phase is Phase.RINGING


@given(intents(), FACTS)
def test_from_the_answer_to_the_end_of_wrap_up_no_call_is_wanted(intent: Intent, facts: Facts) -> None:
    talking = Facts(registered=facts.registered, phase=Phase.TALKING)
    assert not wants_calls(intent, talking)
    after = step(intent, talking, Trigger.CALL_OVER)
    for trigger in (Trigger.WANT_READY, Trigger.WANT_PAUSE, Trigger.CALL_GONE, Trigger.CALL_OVER):
        for phase in Phase:
            assert not wants_calls(
                step(after, Facts(registered=True, phase=phase), trigger, "rest"), Facts(registered=True, phase=phase)
            )


@given(intents(), FACTS, WISHES)
def test_a_wish_while_busy_changes_nothing_now_and_is_kept(intent: Intent, facts: Facts, wish: Trigger) -> None:
    if state_of(intent, facts) in BUSY:
        after = step(intent, facts, wish, "lunch")
        assert state_of(after, facts) is state_of(intent, facts)
        assert after.next_state == ("ready" if wish is Trigger.WANT_READY else "paused")
        assert after.pause_reason == intent.pause_reason


@given(intents(), FACTS, WISHES)
def test_a_wish_at_rest_is_so_at_once(intent: Intent, facts: Facts, wish: Trigger) -> None:
    if state_of(intent, facts) not in BUSY:
        after = step(intent, facts, wish, "lunch")
        assert after.pause_reason == ("" if wish is Trigger.WANT_READY else "lunch")


@given(intents(), st.lists(st.tuples(WISHES, st.sampled_from(["lunch", "rest"])), min_size=1, max_size=5))
def test_the_last_wish_during_a_call_is_the_state_after_its_wrap_up(intent: Intent, wishes: list[tuple[Trigger, str]]) -> None:
    talking, idle = Facts(registered=True, phase=Phase.TALKING), Facts(registered=True)
    intent = Intent(signed_in=True, pause_reason=intent.pause_reason)
    for wish, reason in wishes:
        intent = step(intent, talking, wish, reason)
    intent = step(intent, talking, Trigger.CALL_OVER)
    assert state_of(intent, idle) is SeatState.WRAP_UP
    intent = step(intent, idle, Trigger.WRAP_UP_OVER)
    wish, reason = wishes[-1]
    assert state_of(intent, idle) is (SeatState.READY if wish is Trigger.WANT_READY else SeatState.PAUSED)
    assert intent.pause_reason == ("" if wish is Trigger.WANT_READY else reason)
    assert (intent.next_state, intent.next_reason) == ("", "")


@given(intents(), FACTS, st.sampled_from(Trigger), REASONS)
def test_only_signing_out_ends_a_sitting_and_it_leaves_nothing(intent: Intent, facts: Facts, trigger: Trigger, reason: str) -> None:
    after = step(intent, facts, trigger, reason)
    if trigger is Trigger.SIGN_OUT:
        assert after == Intent() and state_of(after, facts) is SeatState.SIGNED_OUT
    else:
        assert after.signed_in == intent.signed_in


@given(intents(), FACTS)
def test_a_call_that_is_gone_during_wrap_up_does_not_end_it(intent: Intent, facts: Facts) -> None:
    if intent.wrap_up:
        assert step(intent, facts, Trigger.CALL_GONE) == intent


def test_every_state_is_a_line_and_the_page_says_the_lines_in_order() -> None:
    page = PAGES["seat-states.md"]()
    assert {line.state for line in STATES} == set(SeatState)
    places = [page.index(f"| {number} | `{line.state}` | {line.owner} |") for number, line in enumerate(STATES, 1)]
    assert places == sorted(places)
