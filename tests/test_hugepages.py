"""A program is started once more with large pages, only where that can help."""

import os
import sys
import types

import pytest

from nst_jax import hugepages


class Started(Exception):
    """Instead of a new program in this process's place."""


@pytest.fixture
def started(monkeypatch, tmp_path):
    """A machine on which large pages can be had; the calls that start a program."""
    kernel = tmp_path / "enabled"
    kernel.write_text("always [madvise] never\n")
    calls = []

    def execve(*given):
        calls.append(given)
        raise Started

    monkeypatch.setattr(hugepages, "_KERNEL", kernel)
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.36", raising=False)
    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "orig_argv", ["py", "-m", "nst_jax.run", "--size=8"])
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    called(monkeypatch, "nst_jax.run")
    return calls


def called(monkeypatch, module, file="/somewhere/run.py"):
    """As if the process were `python -m module`, or without a module the file."""
    main = types.ModuleType("__main__")
    main.__spec__ = types.SimpleNamespace(name=module) if module else None
    main.__file__ = file
    monkeypatch.setitem(sys.modules, "__main__", main)


def test_it_starts_again_as_it_was_called(started):
    with pytest.raises(Started):
        hugepages.use()
    program, arguments, environment = started[0]
    assert program == sys.executable
    again = ["-X", "nst_jax_again"]
    assert arguments == [sys.executable, *again, "-m", "nst_jax.run", "--size=8"]
    assert environment["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    assert environment.items() >= os.environ.items()


def test_other_tunables_are_kept(started, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=3")
    with pytest.raises(Started):
        hugepages.use()
    asked = started[0][2]["GLIBC_TUNABLES"]
    assert asked == "glibc.malloc.perturb=3:glibc.malloc.hugetlb=1"


@pytest.mark.parametrize("said", [0, 1, 2])
def test_what_the_user_said_of_large_pages_holds(started, monkeypatch, said):
    # With 1 it is also this program, started again: it must not go round for ever.
    monkeypatch.setenv("GLIBC_TUNABLES", f"glibc.malloc.hugetlb={said}")
    hugepages.use()
    assert not started


@pytest.mark.parametrize("enabled", ["[always] madvise never", "always [never]", ""])
def test_nothing_happens_where_the_kernel_needs_no_asking(started, enabled):
    hugepages._KERNEL.write_text(enabled)
    hugepages.use()
    assert not started


@pytest.mark.parametrize("library", ["glibc 2.34", "musl 1.2", "", None, "glibc x"])
def test_nothing_happens_with_another_library(started, monkeypatch, library):
    monkeypatch.setattr(os, "confstr", lambda name: library)
    hugepages.use()
    assert not started


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_nothing_happens_on_another_system(started, monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    hugepages.use()
    assert not started


def test_a_program_frozen_into_a_file_is_left_alone(started, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    hugepages.use()
    assert not started


def test_a_start_that_fails_does_not_matter(started, monkeypatch):
    def refuse(*given):
        raise OSError("out of processes")

    monkeypatch.setattr(os, "execve", refuse)
    hugepages.use()


@pytest.mark.parametrize("module", ["nst_jax.__main__", "nst_jax.benchmark.__main__"])
def test_other_programs_of_ours_start_again(started, monkeypatch, module):
    called(monkeypatch, module)
    with pytest.raises(Started):
        hugepages.use()


def test_the_console_script_starts_again(started, monkeypatch):
    called(monkeypatch, None, "/somewhere/bin/nst-jax")
    with pytest.raises(Started):
        hugepages.use()


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("pytest.__main__", "pytest/__main__.py"),
        ("nst_jaxen", "x.py"),
        (None, "/somewhere/mine.py"),
        (None, None),  # from standard input, or a prompt
    ],
)
def test_a_program_that_calls_ours_is_left_alone(started, monkeypatch, module, file):
    called(monkeypatch, module, file)
    hugepages.use()
    assert not started


def test_a_tunable_that_is_taken_away_is_not_asked_for_for_ever(started, monkeypatch):
    monkeypatch.setattr(sys, "_xoptions", {"nst_jax_again": True})
    hugepages.use()
    assert not started


@pytest.mark.parametrize("name", ["gettrace", "getprofile"])
def test_a_debugger_is_left_alone(started, monkeypatch, name):
    monkeypatch.setattr(sys, name, lambda: print)
    hugepages.use()
    assert not started
