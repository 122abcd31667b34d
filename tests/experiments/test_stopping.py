"""A signal sets a flag for loops that save, and interrupts anything else, even inside a collection of garbage."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

from compressjax import recipe

ROOT = pathlib.Path(__file__).parents[2]

# A stage of a million chunks: a stop must come between two of them. Imports nothing that takes seconds by itself.
LOOP = """
    import os, sys, time
    from compressjax import recipe
    from experiments import app, stopping
    from tests.experiments.test_stopping import stage

    def main():
        with stopping.listening() as stop:
            for event in recipe.run([stage()], recipe.Store(os.environ["STORE"]), "data", stop=stop):
                print(event.step, flush=True)
            raise KeyboardInterrupt(f"stopped at step {event.step}")

    app.simple(main)
"""
# What the tests below run instead of `app.simple`, which imports JAX.
MAIN = """
    import gc, hashlib, os, signal, sys, time
    from experiments import stopping

    stopping.install()
    try:
        main()
    except KeyboardInterrupt:
        stopping.leave("stopped in its own way")
"""
# Python swallows exceptions inside callbacks of the collector, and XLA has one.
SWALLOWED = """
    def main():
        stopping._PATIENCE_SECONDS = 0.5
        sys.unraisablehook = lambda _: print("swallowed", flush=True)
        gc.callbacks.append(lambda phase, info: os.kill(os.getpid(), signal.SIGTERM) if phase == "start" else None)
        gc.collect()
        gc.callbacks.clear()
        time.sleep(30)
"""
TWICE = """
    def main():
        stopping._ONCE_SECONDS = 0.1
        stopping.threading.Thread(target=signals).start()
        with stopping.listening() as stop:
            time.sleep(0.1)
            print(stop(), flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # compiled code, in which no handler runs

    def signals():
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # the launcher and the parent pass on the same one
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
"""
ELSEWHERE = """
    def main():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
"""


LATE = """
    def main():
        with stopping.listening():
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
"""


def stage():
    def advance(context, n, first, count):
        return n + count, {}

    return recipe.Stage("count", {}, lambda _: (None, 0), lambda _, n: recipe.Stored(n, {}), advance, 10**6, 7, 10**6)


def run(code):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def interruptible():
    """A shell ignores interrupts in background jobs, and child processes of the suite would inherit this."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.thorough)])
def test_a_loop_stops_between_chunks_and_what_it_says_is_on_disk(tmp_path, how):
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(LOOP)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "STORE": str(tmp_path)},
    ) as process:  # fmt: skip
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[how]
    step = int(said.partition("stopped at step ")[2].partition(".")[0])
    assert step > 0
    assert step % 7 == 0
    (place,) = tmp_path.glob("count-*/step-*")
    assert recipe.Store(str(tmp_path)).load(str(place.relative_to(tmp_path))).facts["step"] == step
    assert next(recipe.run([stage()], recipe.Store(str(tmp_path)), "data")).step == step


def test_a_swallowed_interruption_still_ends_the_process():
    done = run(MAIN.replace("    stopping.install()", SWALLOWED + "\n    stopping.install()"))
    assert done.stdout == "swallowed\n"
    assert done.returncode == 143
    assert done.stderr.strip() == "stopped; what was written stays"


@pytest.mark.usefixtures("interruptible")
def test_the_second_signal_stops_at_once_but_not_one_that_comes_twice():
    done = run(MAIN.replace("    stopping.install()", TWICE + "\n    stopping.install()"))
    assert done.stdout == "True\n"
    assert done.returncode == 143
    assert "the same again stops at once" in done.stderr
    assert done.stderr.strip().endswith("stopped at once; steps since the last checkpoint are lost")


@pytest.mark.usefixtures("interruptible")
def test_outside_of_loops_it_interrupts():
    done = run(MAIN.replace("    stopping.install()", ELSEWHERE + "\n    stopping.install()"))
    assert (done.returncode, done.stderr.strip()) == (130, "stopped in its own way")


def test_a_signal_after_the_last_question_of_a_loop_is_not_lost():
    done = run(MAIN.replace("    stopping.install()", LATE + "\n    stopping.install()"))
    assert done.returncode == 143
    assert done.stderr.strip().endswith("stopped in its own way")


def test_what_is_saved_may_end_well_after_sigterm_alone():
    """The launcher of a job that it pre-empted starts it again."""
    saved = MAIN.replace('way")', 'way", saved=True)')
    done = run(saved.replace("    stopping.install()", LATE + "\n    stopping.install()"))
    assert (done.returncode, done.stderr.strip()[-22:]) == (0, "stopped in its own way")


FOLLOWING = """
    def main():
        with stopping.listening():
            stopping.follow(0)
            assert not stopping.signaled()
            stopping.follow(signal.SIGTERM)
"""


def test_a_signal_to_another_process_of_the_run_counts_here():
    done = run(MAIN.replace("    stopping.install()", FOLLOWING + "\n    stopping.install()"))
    assert (done.returncode, done.stderr.strip()) == (143, "stopped in its own way")
