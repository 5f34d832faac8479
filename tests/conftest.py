"""Rules that hold for every test: no screen, no user's settings, no loud log, no thread left behind.

A test that provokes a warning in the log either asks for `caplog` and looks at it, or is marked
`logs_allowed`. A test that must leave a thread behind is marked `threads_allowed`.
"""

import logging
import os
import random
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# Before anything imports Qt. A person who wants to watch the windows names another platform.
os.environ["QT_QPA_PLATFORM"] = os.environ.get("MASKLOOP_TEST_PLATFORM", "offscreen")

# Where processes share the tests, each has a core: threads that wait for one another's would take longer.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_SCRATCH = Path(tempfile.mkdtemp(prefix="maskloop-tests-"))
_THREAD_GRACE_S = 60.0

_USER_FOLDERS = {
    "HOME": "home",
    "USERPROFILE": "home",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_CACHE_HOME": "cache",
    "XDG_STATE_HOME": "state",
    "APPDATA": "config",
    "LOCALAPPDATA": "data",
}

# Examples are the same on every machine and every run; a busy machine is not a failure.
hypothesis.settings.register_profile(
    "maskloop",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("maskloop")


def _redirect_user_folders(folder: Path) -> dict[str, str]:
    """Make the folders a user would have below `folder`; returns the variables that name them."""
    variables = {name: str(folder / part) for name, part in _USER_FOLDERS.items()}
    for path in set(variables.values()):
        Path(path).mkdir(parents=True, exist_ok=True)
    return variables


# For what is imported or started before the first test runs.
os.environ.update(_redirect_user_folders(_SCRATCH / "session"))
# Qt warns where nobody has logged in, and a warning of Qt fails a test.
if "XDG_RUNTIME_DIR" not in os.environ:
    (_SCRATCH / "runtime").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(_SCRATCH / "runtime")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the users' folders of all tests."""
    shutil.rmtree(_SCRATCH, ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs an accelerator where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            pytest.skip("no accelerator on this machine")


@pytest.fixture(autouse=True)
def _no_thread_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail when a thread that the test started outlives it (after a grace period to end by itself)."""
    before = set(threading.enumerate())
    yield
    if request.node.get_closest_marker("threads_allowed") is not None:
        return
    left = []
    for thread in threading.enumerate():
        if thread in before or _belongs_to_somebody_else(thread):
            continue
        thread.join(_THREAD_GRACE_S)
        if thread.is_alive():
            left.append(thread.name)
    if left:
        pytest.fail(f"threads left alive: {', '.join(sorted(left))}")


def _belongs_to_somebody_else(thread: threading.Thread) -> bool:
    """Whether a library keeps this thread as long as the process lives (a progress bar's, Qt's own)."""
    return type(thread).__name__ in {"TMonitor", "_DummyThread"}


class _Loud(logging.Handler):
    """Keeps every record at WARNING or above."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def _no_loud_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail on a log record at WARNING or above, unless the test says that it expects some."""
    loud = _Loud()
    root = logging.getLogger()
    root.addHandler(loud)
    yield
    root.removeHandler(loud)
    expected = request.node.get_closest_marker("logs_allowed") is not None
    if loud.records and not expected and "caplog" not in request.fixturenames:
        lines = [f"{r.name} {r.levelname}: {r.getMessage()}" for r in loud.records]
        pytest.fail("loud log:\n" + "\n".join(lines))


@pytest.fixture(autouse=True)
def _user_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test the empty home folder of a new user."""
    folder = Path(tempfile.mkdtemp(dir=_SCRATCH))
    for name, value in _redirect_user_folders(folder).items():
        monkeypatch.setenv(name, value)
    core = sys.modules.get("PySide6.QtCore")
    if core is not None:
        for form in (core.QSettings.Format.NativeFormat, core.QSettings.Format.IniFormat):
            core.QSettings.setPath(form, core.QSettings.Scope.UserScope, str(folder / "config"))


@pytest.fixture(autouse=True)
def _no_trial_of_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in the same numbers on every machine, however busy: nothing is timed to choose them.

    That saves half a second for each network a test opens, too. The trial has tests of its own.
    """
    device = sys.modules.get("engine.learn.device")
    if device is not None:
        monkeypatch.setattr(device, "bfloat16_gain", lambda model: 1.0)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Start every random generator that is loaded from the same place."""
    random.seed(0)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: the same sums everywhere, and no waiting for busy cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
