"""The `lingxi` command: run, demo, seed, settings, upgrade, replay, tls, bench. Each command says in one sentence what went wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
import uvloop
from rich.console import Console
from rich.progress import Progress

from config import tidy
from config.settings import Settings, SettingsError
from config.tongue import in_own_language, told
from crm_core.kernel.sentence import Trouble

app = typer.Typer(
    help="Lingxi 铃席: call-centre software on a SIP PBX.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
demo_app = typer.Typer(help="The demo's callers.", no_args_is_help=True)
settings_app = typer.Typer(help="The settings.", no_args_is_help=True)
app.add_typer(demo_app, name="demo")
app.add_typer(settings_app, name="settings")
console = Console(stderr=True, highlight=False, markup=False)
log = structlog.get_logger(__name__)


def run() -> None:
    """Entry of the command. Trouble that no command deals with is told in its one sentence."""
    try:
        in_own_language(app)()
    except Trouble as trouble:
        console.print(told(trouble.sentence))
        sys.exit(1)


def _settings() -> Settings:
    from config.settings_reading import load

    try:
        return load()
    except SettingsError as error:
        for problem in error.problems:
            console.print(told(problem.sentence))
        raise typer.Exit(2) from error


def _fail(what: str | Trouble) -> typer.Exit:
    """Say what is wrong in the language of the terminal, and be what ends the command."""
    console.print(told(what.sentence) if isinstance(what, Trouble) else what)
    return typer.Exit(1)


def _loop(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


# ------------------------------------------------------------------------------------------------------------------- run


@app.command("run")
def run_command(
    demo: Annotated[bool, typer.Option("--demo", help="With a PBX, a centre and callers of its own.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Demo: nobody calls by themselves.")] = False,
) -> None:
    """Run in the foreground until Ctrl-C."""
    from config.logs import set_up
    from config.setup.ports import complaint

    settings = _settings()
    set_up(settings.logs.level, settings.logs.format)
    trouble = complaint(settings.web.host, settings.web.port)
    if trouble:
        raise _fail(trouble)
    tidy.set_up()
    _loop(_run_demo(settings, lively=not quiet) if demo else _run(settings))


async def _run(settings: Settings) -> None:
    from config.bootstrap import Program
    from config.lines import access_of

    program = Program(settings, access_of(settings))
    await _first_administrator(program)
    await program.prepare()
    _stop_on_signals(program.stop)
    await program.run()


async def _first_administrator(program: Any) -> None:
    from config.accounts import first_rows, name_pbxs
    from config.upgrade import upgrade

    await upgrade(program.database)
    async with program.database.begin() as db:
        password = await first_rows(db, program.new_id, program.clock.now())
        await name_pbxs(db, program.new_id, [pbx.name for pbx in program.settings.pbx])
    if password is not None:
        console.print(
            told(
                "The first administrator is admin with the password {password} (shown only now; it must be changed).",
                password=password,
            )
        )


async def _run_demo(settings: Settings, *, lively: bool) -> None:
    from config.demo.asterisk_process import AsteriskFailed
    from config.demo.asterisk_tree import AsteriskMissing, obtain_tree
    from config.demo.run import Demo, with_home
    from config.demo.scripted import ScriptedDemo
    from config.demo.sipp_process import SippFailed

    settings = with_home(settings)
    running: Demo | ScriptedDemo
    try:
        tree = await asyncio.to_thread(obtain_tree, settings.home.folder, console.print)
        running = Demo(settings, tree, console.print, lively=lively)
    except AsteriskMissing as error:
        if os.environ.get("CI") or os.environ.get("LINGXI_REQUIRE_PEERS") == "1":
            raise _fail(error) from error
        console.print(told(error.sentence))
        running = ScriptedDemo(settings, console.print)
    try:
        await running.prepare()
        _stop_on_signals(running.program.stop)
        await running.run()
    except (AsteriskFailed, SippFailed) as error:
        raise _fail(error) from error


def _stop_on_signals(stop: Any) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


# ------------------------------------------------------------------------------------------------------------------ data


@app.command()
def upgrade() -> None:
    """Bring the database to this version's schema."""
    from config.upgrade import upgrade as do
    from crm_core.kernel.db import Database

    async def work() -> None:
        database = Database(_settings().database.url)
        console.print(told("Upgraded.") if await do(database) else told("Nothing to do."))
        await database.close()

    _loop(work())


@app.command()
def provision(
    pbx: Annotated[str, typer.Argument(help="The PBX, by its name in the settings.")],
    into: Annotated[Path, typer.Option(help="The folder that the PBX includes the files from.", file_okay=False)],
) -> None:
    """Write a PBX's configuration from the seats, queues and numbers in the database, and have it take over what changed."""
    _loop(_provision(_settings(), pbx, into))


async def _provision(settings: Settings, name: str, into: Path) -> None:
    from config.lines import UnknownPbx, provisioned
    from cti.pbx.asterisk.provision import BadPlan
    from cti.ports import PbxRefused

    try:
        changed = await provisioned(settings, name, into)
    except (BadPlan, PbxRefused, UnknownPbx) as error:
        raise _fail(error) from error
    console.print(told("Changed: {files}", files=", ".join(sorted(changed))) if changed else told("Nothing has changed."))


@app.command()
def seed(
    customers: Annotated[int, typer.Option(help="How many customers to add.", min=1, max=20_000_000)] = 10_000,
    unit: Annotated[str, typer.Option(help="The name of the business unit; the first one unless given.")] = "",
) -> None:
    """Add made-up customers, for trying how it feels when there are many."""
    _loop(_seed(_settings(), customers, unit))


async def _seed(settings: Settings, count: int, unit: str) -> None:
    from sqlalchemy import func, select

    from config.demo import customers as made_up
    from config.upgrade import upgrade as do
    from crm_core.entities.org import Unit
    from crm_core.entities.people import Customer
    from crm_core.kernel.clock import SystemClock
    from crm_core.kernel.db import Database
    from crm_core.kernel.ids import IdMaker

    database, clock = Database(settings.database.url), SystemClock()
    await do(database)
    async with database.read() as db:
        query = select(Unit.id).where(Unit.name == unit) if unit else select(Unit.id).order_by(Unit.id)
        unit_id = (await db.execute(query)).scalar()
        if unit_id is None:
            raise _fail(told("There is no such business unit. Run the product once first, or give --unit its name."))
        there = (await db.execute(select(func.count()).select_from(Customer))).scalar_one()
    with Progress(console=console) as progress:
        task = progress.add_task(told("Customers"), total=count)
        for rows in made_up.batches(unit_id, IdMaker(clock), clock.now(), count, seed=there + 1, first=there):
            async with database.begin() as db:
                await made_up.write(db, rows)
            progress.advance(task, len(rows[0]))
    await database.close()


# ------------------------------------------------------------------------------------------------------------------ demo


@demo_app.command("call")
def demo_call(
    number: Annotated[str, typer.Option("--from", help="The caller's number; nothing = withheld.")] = "",
    to: Annotated[str, typer.Option("--to", help="The number they dial.")] = "057188000001",
    say: Annotated[Path | None, typer.Option("--say", help="A WAV file to say over and over.", exists=True, dir_okay=False)] = None,
    hold: Annotated[float, typer.Option("--hold", help="Seconds from the PBX's answer until they hang up.", min=1, max=3600)] = 30,
    name: Annotated[str, typer.Option("--name", help="The name that comes with the number.")] = "",
) -> None:
    """Send a caller into the running demo, and say how it went."""
    settings = _settings()
    try:
        facts = json.loads((settings.home.folder / "run" / "demo.json").read_text())
    except (OSError, ValueError) as error:
        raise _fail(told("No demo runs here. Start it with: make run")) from error
    _loop(_demo_call(settings, facts, number, to, say, hold, name))


async def _demo_call(
    settings: Settings, facts: dict[str, Any], number: str, to: str, say: Path | None, hold: float, name: str
) -> None:
    from config.demo.asterisk_tree import AsteriskMissing, obtain_tree
    from config.demo.callers import Caller, Callers
    from config.demo.sipp_process import BadText, SippFailed
    from config.demo.sounds import BadSound

    try:
        tree = obtain_tree(settings.home.folder, console.print)
        callers = Callers(
            tree,
            (facts["pbx"]["address"], facts["pbx"]["sip"]),
            settings.home.folder / "pbx" / "callers",
            address=facts["trunk_address"],
        )
        result = await callers.call(Caller(number=number, to=to, name=name, sound=say, hold_s=hold))
    except (AsteriskMissing, BadText, BadSound, SippFailed) as error:
        raise _fail(error) from error
    if not result.answered:
        raise _fail(
            told("The phone system did not take the call (SIP {code}). {trouble}", code=result.code, trouble=result.trouble)
        )
    by_caller = result.ended_by == "caller"
    console.print(told("The call is over; the caller hung up.") if by_caller else told("The call is over; the other side hung up."))


# -------------------------------------------------------------------------------------------------------------- settings


@settings_app.command("check")
def settings_check() -> None:
    """Read the settings and say what is wrong, with line and cure."""
    from config.settings_reading import check

    well, said = check()
    console.print(said)
    raise typer.Exit(0 if well else 2)


@app.command()
def replay(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Recorded manager events: raw text, or a JSON array.")
    ],
) -> None:
    """Recorded PBX events through the same code: one finished call a line, as JSON; what is left over goes to standard error."""
    import orjson

    from cti.pbx.replay import replay as play
    from cti.pbx.replay import told as call_told

    for file in files:
        with file.open("rb") as lines:
            result = play(lines)
        for fact in result.calls:
            sys.stdout.write(orjson.dumps(call_told(fact, result.channels)).decode() + "\n")
        for line, what in result.garbage:
            shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in what[:200])
            sys.stderr.write(told("{file}: line {line} was skipped: {what}", file=file, line=line, what=shown) + "\n")
        if result.still_open:
            sys.stderr.write(told("{file}: {n} calls are still open at the end", file=file, n=result.still_open) + "\n")


@app.command()
def tls(
    host: Annotated[list[str], typer.Option("--host", help="A name or address people type; more than one may be given.")],
    days: Annotated[int, typer.Option(help="How long it is good for.", min=1, max=825)] = 365,
) -> None:
    """Make a certificate of one's own for HTTPS, and say how to use it."""
    from config.certificate import make

    settings = _settings()
    folder = settings.home.folder / "tls"
    cert, key = make(folder, tuple(host), days)
    console.print(told("Made {cert} and {key}. Put into lingxi.toml:", cert=cert, key=key))
    sys.stdout.write(f'[web]\ntls_cert = "{cert}"\ntls_key = "{key}"\n')
    console.print(
        told("Browsers will ask once whether they may trust it. A certificate of a public authority goes into the same two lines.")
    )


# ---------------------------------------------------------------------------------------------------------------- tokens


@app.command()
def token(
    login: Annotated[str, typer.Argument(help="Whose rights the token has.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do, as kind:action (call:see); more than one may be given.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is good for.", min=1, max=3650)] = 365,
) -> None:
    """Make a token for a program; it is shown once."""
    _loop(_token(_settings(), login, name, tuple(scope or ()), days))


async def _token(settings: Settings, login: str, name: str, scopes: tuple[str, ...], days: int) -> None:
    from crm_core.kernel.clock import SystemClock
    from crm_core.kernel.db import Database
    from crm_core.kernel.errors import Refusal
    from crm_core.kernel.ids import IdMaker
    from crm_core.signin import SignIn

    database, clock = Database(settings.database.url), SystemClock()
    try:
        made = await SignIn(database, clock, IdMaker(clock)).make_token(login, name, scopes, days)
    except Refusal as refusal:
        raise _fail(told(refusal.say, **refusal.detail)) from refusal
    finally:
        await database.close()
    sys.stdout.write(made + "\n")


# ----------------------------------------------------------------------------------------------------------------- bench


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="pop, pop-real, lookup, memory, events, journal, resync or all.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Small and short: shows that it works, not how fast.")] = False,
) -> None:
    """Measure the product beside a floor; ends with 0 when all was reached, 1 when not, 3 when the machine was too busy to tell."""
    from config.bench.run import BENCHES, run
    from config.logs import set_up

    if name != "all" and name not in BENCHES:
        raise _fail(told("There is no bench {name}. There are: {all}.", name=name, all=", ".join((*BENCHES, "all"))))
    settings = _settings()
    set_up(settings.logs.level, settings.logs.format)
    raise typer.Exit(run(name, settings.home.folder / "bench", console.print, as_json=as_json, quick=quick))


if __name__ == "__main__":
    run()
