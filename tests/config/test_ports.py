"""A port that can't be had: who has it, and the way out."""

from __future__ import annotations

import os
import socket

from config.setup.ports import complaint
from tests.peers.need import free_port


def test_a_free_port_needs_no_words() -> None:
    assert complaint("127.0.0.1", free_port()) == ""


def test_a_port_in_use_names_the_holder_and_another_port() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        port = holder.getsockname()[1]
        said = complaint("127.0.0.1", port)
    assert said.startswith(f"Port {port} is in use by ")
    assert f"(process {os.getpid()})" in said
    assert f"LINGXI_WEB__PORT={port + 1} make run" in said


def test_an_address_of_another_machine_is_told() -> None:
    assert "no address 192.0.2.1" in complaint("192.0.2.1", free_port())
