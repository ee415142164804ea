"""Kills commands on works, starts them again, and compares with works that nobody disturbed.

A stage is one address. First a calm local Valar serves there, and says what is right: a run's id,
and with it every id in an output, follows from the address. Then come faulty ones, each with a
memory of its own and for one attempt at each work; at its end it is asked what it executed.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import Cli, Finished, Served, environment
from tests.crash.works import ROWS, Course, Work, names

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLS = int(os.environ.get("KILLS", "0"))
"""Kills over all cases; without it, each has as few as it says."""
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FAULTS = Path(__file__).with_name("faults.toml").read_text()
LATENCY = "0.3"
NEW_KEY = "the-new-key"
"""The faulty ones take it, too."""
BATCH = "rename .*/run-[^/]*/batches/{}/batch.json"
RETRY = "rename .*/retries/2/batches/{}/batch.json"
"""A batch's record takes its next state: the intent, then the answer, then the last result."""
PATIENCE = 300
"""Seconds that a command is given to die, or to end, before the test fails."""
KILLS_EACH = 5 if KILLS else 3
"""So often is an attempt killed at most."""
WORKS = 5
"""So many works has a stage of a long run, and so many attempts a Valar."""
GOLDEN = 0.618034
"""The fractions of its multiples are spread evenly, however many there are."""


def kills(least: int, share: float) -> int:
    """Give a case its share of KILLS; the shares of all cases are 1."""
    return max(least, round(KILLS * share))


@dataclass(frozen=True)
class After:
    """So many seconds from the start of a command."""

    seconds: float


@dataclass(frozen=True)
class Before:
    """Just before the `number`-th of the steps that fit a pattern: see `steps/`."""

    pattern: str
    number: int = 1


class Stage:
    """One address, its works and what is right for them, and the figures of what was done."""

    def __init__(self, folder: Path, course: Course, figures: dict[str, int], works: int) -> None:
        self.folder = folder
        self.course = course
        self.figures = figures
        self.random = random.Random(SEED)  # noqa: S311 - which moments, not which secrets
        self.works = [Work(folder, number) for number in range(works)]
        self.valar = Served(folder / "calm-valar").start()
        self._right: dict[str, tuple[object, object]] = {}
        for work in self.works:
            attempt = Attempt(self, work, folder / "calm-home")
            attempt.begin()
            attempt.repeat()
            self.steps = attempt.steps()
            attempt.finish()
            self._right[work.name] = attempt.outcome()
            attempt.remove()
        self._executions = self.valar.executions()
        self.valar.stop()
        self._blocks = 0

    def fresh(self) -> None:
        """Serve at the same address with an empty memory, and with faults."""
        if self._blocks:
            shutil.rmtree(self.valar.home)
        self._blocks += 1
        plan = self.folder / "faults.toml"
        plan.write_text(f"seed = {self.random.randrange(10**6)}\n{FAULTS}")
        options = ("--latency", LATENCY, "--faults", str(plan), "--api-key", NEW_KEY)
        home = self.folder / f"valar-{self._blocks}"
        self.valar = Served(home, options, self.valar.port).start()

    def count_faults(self) -> None:
        """Count the faults that struck since Valar was started."""
        told = self.valar.get("/local/faults")["faults"]
        self.figures["faults"] += sum(fault["struck"] for fault in told)

    def attempts(self, number: int, figure: str = "kills") -> Iterator[Attempt]:
        """Give attempts, one at each work for each Valar, until a figure is as high as that."""
        while self.figures[figure] < number:
            self.fresh()
            for place, work in enumerate(self.works):
                yield Attempt(self, work, self.folder / f"home-{self._blocks}-{place}")
            self._judge()
            self.valar.stop()

    def measure(self) -> float:
        """Give the seconds that the command takes where only faults disturb it."""
        self.fresh()
        attempt = Attempt(self, self.works[0], self.folder / "home-0")
        attempt.begin()
        began = time.monotonic()
        attempt.repeat()
        seconds = time.monotonic() - began
        attempt.finish()
        self.check(attempt)
        attempt.remove()
        self.valar.stop()
        return seconds

    def check(self, attempt: Attempt, *, same_home: bool = True, same_folder: bool = True) -> None:
        """Compare an attempt with the calm one: its output byte by byte, and what is in its home.

        From another home it cannot be told whether the temporary file of a killed command belongs
        to a living one, so it may be there still. Not the `same_folder`: batches that were found at
        Valar have no body here.
        """
        written, left = attempt.outcome()
        right, right_left = self._right[attempt.work.name]
        if not same_home:
            written = {name: it for name, it in written.items() if not name.endswith(".partial")}
        self.figures["rows"] += ROWS
        self.figures["differences"] += written != right
        assert written.keys() == right.keys(), attempt.story()
        assert written == right, attempt.story()
        assert not same_folder or left == right_left, attempt.story()

    def _judge(self) -> None:
        """Each request was executed as often as by the calm one, whatever was killed."""
        told = self.valar.executions()
        self.count_faults()
        self.figures["requests"] += self._executions["total"]
        self.figures["executions"] += told["total"]
        self.figures["differences"] += told != self._executions
        assert told == self._executions


class Attempt:
    """A work on its way through its course, in a home of its own."""

    def __init__(self, stage: Stage, work: Work, home: Path) -> None:
        self.stage = stage
        self.work = work
        self.cli = self.at(home)
        self._killed_at: list[str] = []

    def at(self, home: Path, **more: str) -> Cli:
        """Give the command line with a home, and with other settings."""
        valar, folder = self.stage.valar, self.stage.folder
        steps = Path(__file__).parent / "steps"
        path = os.pathsep.join([str(steps), environment(home)["PYTHONPATH"]])
        return Cli(
            home,
            {
                "VALAR_API_KEY": valar.key,
                "VALAR_BASE_URL": valar.base_url,
                "PYTHONPATH": path,
                "CRASH_UNDER": str(folder),
                "CRASH_STEPS": f"{home}.steps",
                "CRASH_AT": "0",
                **more,
            },
        )

    @property
    def killed(self) -> tuple[object, ...]:
        """The command that is killed and given again."""
        return self.work.commands[self.stage.course.killed]

    def begin(self) -> None:
        """Do what comes before."""
        course = self.stage.course
        if course.failing:
            self.stage.valar.set(failure_share=course.failing)
        for name in course.before:
            self.cli(*self.work.commands[name], code=3 if course.failing else 0)
        if course.failing:
            self.stage.valar.set(failure_share=0)

    def kill(self, moment: After | Before) -> bool:
        """Start the command and kill it; whether it was still alive then."""
        at = "0"
        if isinstance(moment, Before):
            at = f"{moment.number} {moment.pattern}"
        self._count_restart()
        Path(self.cli.environment["CRASH_STEPS"]).unlink(missing_ok=True)
        process = self.cli.elsewhere(self.cli.home, CRASH_AT=at).start(*self.killed)
        if isinstance(moment, After):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment.seconds)
            process.kill()
        _, err = process.communicate(timeout=PATIENCE)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, f"{err.decode()}\n{self.story()}"
            return False
        self.stage.figures["kills"] += 1
        self._killed_at.append(f"{moment}, before {self.steps()[-1:]}")
        return True

    def kill_valar(self) -> None:
        """Kill the local Valar, too, and start it again with the memory that it has."""
        self.stage.count_faults()
        self.stage.valar.stop(signal.SIGKILL)
        self.stage.valar.start()
        self.stage.figures["servers"] += 1

    def repeat(self, *options: str, code: int = 0) -> Finished:
        """Give the command again, and let it end."""
        self._count_restart()
        return self.cli(*self.killed, *options, code=code)

    def _count_restart(self) -> None:
        self.stage.figures["restarts"] += bool(self._killed_at)

    def finish(self) -> None:
        """Do what comes after."""
        for name in self.stage.course.after:
            self.cli(*self.work.commands[name])

    def outcome(self) -> tuple[dict[str, bytes], list[str]]:
        """Give the output, to the last byte, and the names of what is in the home."""
        return self.work.written(), names(self.cli.home)

    def remove(self) -> None:
        """Clear away, for the next attempt at this work."""
        shutil.rmtree(self.cli.home)
        shutil.rmtree(self.work.results)
        self.work.results.mkdir()

    def run(self) -> Path:
        """Give the folder of the one run in its home."""
        (path,) = (self.cli.home / "runs").glob("run-*")
        return path

    def steps(self) -> list[str]:
        """Give the steps of the command that was started last; of one killed at birth, none."""
        listing = Path(self.cli.environment["CRASH_STEPS"])
        return listing.read_text().splitlines() if listing.exists() else []

    def story(self) -> str:
        """Say when it was killed."""
        return f"SEED={SEED}; {self.work.name} was killed: {'; '.join(self._killed_at)}"
