"""A database that can't be used: each command says so in one sentence of the terminal's language, with the cure and without a secret."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AWAY = "postgresql+asyncpg://lingxi:hunter2@127.0.0.1:1/lingxi"


def lingxi(home: Path, *words: str, lang: str = "zh_CN.UTF-8", **more: str) -> tuple[int, str]:
    """What a command ends with, and what it says, in one line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LINGXI_")) and name != "LANG"}
    environment = {**kept, "LANG": lang, "LINGXI_HOME": str(home), "PYTHONUTF8": "1", "COLUMNS": "400", **more}
    command = [sys.executable, "-m", "config.main", *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize("words", [("upgrade",), ("run",), ("seed", "--customers", "1")], ids=lambda words: words[0])
def test_a_folder_that_can_not_be_written(words: tuple[str, ...]) -> None:
    code, said = lingxi(Path("/proc/nowhere"), *words, LINGXI_WEB__PORT="28913")
    assert (code, said) == (
        1,
        "数据库用不了（unable to open database file）：检查 [database] 下的 url，以及它指向的服务器或文件夹。",
    )


@pytest.mark.parametrize(("lang", "begins"), [("zh_CN.UTF-8", "数据库用不了（"), ("C.UTF-8", "The database can't be used (")])
def test_a_server_that_does_not_answer(tmp_path: Path, lang: str, begins: str) -> None:
    code, said = lingxi(tmp_path, "upgrade", lang=lang, LINGXI_DATABASE__URL=AWAY)
    assert code == 1 and said.startswith(begins) and len(said.splitlines()) == 1
    assert "hunter2" not in said


def test_a_database_newer_than_the_program(tmp_path: Path) -> None:
    assert lingxi(tmp_path, "upgrade")[0] == 0
    with sqlite3.connect(tmp_path / "lingxi.sqlite3") as connection:
        connection.execute("update alembic_version set version_num = 'of_the_future'")
    connection.close()
    code, said = lingxi(tmp_path, "upgrade")
    assert code == 1 and said.startswith("数据库比这个程序新（") and said.endswith("运行上次使用它的那个版本。")
