"""The journal: every byte once and in order, files that sort, a disk that fills up, positions that hold."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.pbx.asterisk import journal
from cti.pbx.asterisk.journal import JournalFull, Tail, Writer

BLOCK = b"Event: X\r\nN: %d\r\n\r\n"


def writer(folder: Path, said: list[str] | None = None, **options: object) -> Writer:
    warn = (said if said is not None else []).append
    return Writer(folder, warn, **({"reserve": 4096} | options))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), max_size=30), st.integers(60, 400))
def test_what_is_written_is_read_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, bool]], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    pen = writer(folder, file_limit=limit)
    tail = Tail(folder)
    written, read, positions = b"", b"", [""]
    for number, (size, look) in enumerate(steps):
        data = BLOCK % number + b"x" * size + b"\r\n\r\n"
        pen.write(data)
        written += data
        if look:
            for piece, position in tail.read():
                read += piece
                positions.append(position)
    read += b"".join(piece for piece, _ in tail.read(pen.position))
    read += b"".join(piece for piece, _ in tail.read())
    assert read == written
    assert positions == sorted(positions)
    assert tail.position == pen.position or not steps
    again = Tail(folder, positions[len(positions) // 2])
    assert written.endswith(b"".join(piece for piece, _ in again.read()))
    pen.close()
    tail.close()


def test_files_are_private_sort_by_age_and_go_after_their_days(tmp_path: Path) -> None:
    now = [1_795_309_340.0]
    pen = writer(tmp_path / "pbx", keep_days=1.0, clock=lambda: now[0])
    for hour in range(3):
        pen.write(BLOCK % hour)
        now[0] -= 86_400 if hour == 1 else -3600  # the clock is set back by a day in between
    names = journal.files(tmp_path / "pbx")
    assert len(names) == 3
    assert [(tmp_path / "pbx" / name).read_bytes() for name in names] == [BLOCK % hour for hour in range(3)]
    assert {(tmp_path / "pbx" / name).stat().st_mode & 0o777 for name in names} == {0o600}
    os.utime(tmp_path / "pbx" / names[0], (0, 0))
    now[0] = (tmp_path / "pbx" / names[1]).stat().st_mtime + 7200
    pen.write(BLOCK % 9)
    assert journal.files(tmp_path / "pbx")[0] == names[1]
    assert b"".join(piece for piece, _ in Tail(tmp_path / "pbx", f"{names[0]}:000000000003").read()).startswith(BLOCK % 1)


def test_a_full_disk_takes_the_reserve_first_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    pen = writer(tmp_path, said)
    real, space = os.write, [60]

    def short_of_space(file: int, data: bytes) -> int:
        room = space[0] + (0 if (tmp_path / "reserve").exists() else 60)
        if room <= 0:
            raise OSError(errno.ENOSPC, "no space")
        done = real(file, data[:room])
        space[0] -= done
        return done

    monkeypatch.setattr(journal.os, "write", short_of_space)
    usage = journal.shutil.disk_usage
    monkeypatch.setattr(journal.shutil, "disk_usage", lambda _folder: usage("/")._replace(free=100))
    kept = b""
    with pytest.raises(JournalFull):
        for number in range(100):
            pen.write(BLOCK % number)
            kept += BLOCK % number
    assert said == ["The disk of the journal is full; its reserve is being used."]
    assert b"".join(piece for piece, _ in Tail(tmp_path).read()) == kept  # no torn message is left behind
    monkeypatch.setattr(journal.os, "write", real)
    monkeypatch.setattr(journal.shutil, "disk_usage", usage)
    pen.write(BLOCK % 7)
    assert said[-1] == "There is space for the journal again."
    assert (tmp_path / "reserve").exists()
    assert b"".join(piece for piece, _ in Tail(tmp_path).read()) == kept + BLOCK % 7
