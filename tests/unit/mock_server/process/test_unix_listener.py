"""Unix sockets: which server owns a socket's file."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from mock_server.process.listener import ListenError
from mock_server.process.unix_listener import UnixListener


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


def refusal(path: object) -> str:
    with pytest.raises(ListenError) as caught:
        UnixListener.bind(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_file_is_there_until_the_end(path: Path) -> None:
    listener = UnixListener.bind(str(path))
    assert path.is_socket()
    assert (listener.url, listener.every_interface) == (f"unix:{path}", None)
    listener.close()
    assert not path.exists()
    listener.close()


def test_white_space_does_not_divide_the_ready_line(tmp_path: Path) -> None:
    with closing(UnixListener.bind(str(tmp_path / "a b%.sock"))) as listener:
        assert listener.url == f"unix:{tmp_path}/a%20b%25.sock"


def test_a_relative_path_is_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(UnixListener.bind("s.sock")) as listener:
        assert listener.path == tmp_path / "s.sock"


def test_the_umask_decides_who_may_connect(path: Path) -> None:
    before = os.umask(0o007)
    try:
        with closing(UnixListener.bind(str(path))):
            assert stat.S_IMODE(path.stat().st_mode) == 0o770
    finally:
        os.umask(before)


def test_what_a_killed_server_left_is_replaced(path: Path) -> None:
    UnixListener.bind(str(path)).socket.close()
    assert path.is_socket()
    with closing(UnixListener.bind(str(path))) as listener, closing(socket.socket(socket.AF_UNIX)) as client:
        listener.socket.listen()
        client.connect(str(path))


def test_a_socket_of_another_server_is_left_alone(path: Path) -> None:
    says = f"--uds {path} is in use by another server: choose another path, or stop that one"
    with closing(UnixListener.bind(str(path))) as listener:
        assert refusal(path) == says  # it does not listen yet
        listener.socket.listen(0)
        assert refusal(path) == says
        assert refusal(path) == says  # its backlog is full by now
        assert path.is_socket()


def test_a_replaced_server_does_not_remove_its_successors_file(path: Path) -> None:
    first = UnixListener.bind(str(path))
    path.unlink()
    with closing(UnixListener.bind(str(path))):
        first.close()
        assert path.is_socket()


def test_a_file_that_is_not_a_socket_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    assert refusal(path) == f"--uds {path} exists and is not a socket: choose another path, or remove it"
    assert path.read_text() == "mine"
    assert "exists and is not a socket" in refusal(path.parent)
    path.unlink()
    path.symlink_to(path.parent / "elsewhere")
    assert "exists and is not a socket" in refusal(path)


def test_what_cannot_be_bound_is_told(tmp_path: Path) -> None:
    assert refusal("/no/such/folder/s").endswith("--uds /no/such/folder/s: No such file or directory")
    assert "is longer than 107 bytes" in refusal("/tmp/" + "x" * 103)
    assert "embedded null" in refusal(tmp_path / "a\0b")
