"""Lines that actors print and log reach the streams of the driver, complete and with the name of the actor."""

from __future__ import annotations

import re

import pytest

from tests.running import run_script

PRELUDE = """
import logging, os, sys
import actorrt as art

class Speaker(art.Actor):
    def say(self, text):
        print(text)
    def shout(self, text):
        print(text, file=sys.stderr)
    def log(self, text):
        logging.getLogger("mine").warning(text)
    def info(self, text):
        logging.getLogger("mine").info(text)
    def begin(self, text):
        print(text, end="")
    def write_raw(self, text):
        os.write(1, text.encode())
    def child(self, text):
        import subprocess
        subprocess.run(["echo", text])
    async def fail(self):
        raise SystemExit("bad day")
"""


def lines(code, folder, **variables):
    """Run a script and return the lines of its two streams, without those that say what it waits for."""
    script = run_script(PRELUDE + "\n" + code, folder, **variables)
    assert script.process.returncode == 0, script.stderr
    errors = [line for line in script.stderr.splitlines() if not line.startswith("actorrt: waiting for ")]
    return script.output.splitlines(), errors


@pytest.mark.parametrize("options", ["", "isolation='process'"], ids=["light", "own"])
def test_printed_lines_reach_the_same_stream_with_the_actors_name_and_process_id(tmp_path, options):
    out, err = lines(
        f"""
art.init(cpus=1)
speaker = Speaker.options(name="anna", {options}).spawn().result(10)
speaker.say("good morning").result(10)
speaker.shout("good evening").result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert [re.sub(r"\d+", "N", line) for line in out] == ["(anna pid=N) good morning"]
    assert [re.sub(r"\d+", "N", line) for line in err] == ["(anna pid=N) good evening"]


def test_unnamed_actor_is_named_by_its_class(tmp_path):
    out, _ = lines(
        """
art.init(cpus=1)
Speaker.spawn().result(10).say("hello").result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert re.fullmatch(r"\(Speaker-[0-9a-f]{8} pid=\d+\) hello", out[0])


def test_logged_lines_reach_the_driver_at_its_level(tmp_path):
    _, err = lines(
        """
logging.getLogger().setLevel(logging.WARNING)
art.init(cpus=1)
speaker = Speaker.options(name="anna").spawn().result(10)
speaker.info("not this").result(10)
speaker.log("but this").result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert [re.sub(r"\d+", "N", line) for line in err] == ["(anna pid=N) WARNING mine: but this"]


def test_unfinished_line_is_printed_when_the_actor_ends(tmp_path):
    out, _ = lines(
        """
art.init(cpus=1)
speaker = Speaker.options(name="anna", isolation="process").spawn().result(10)
speaker.begin("unfinished").result(10)
speaker.stop().result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert [line.partition(") ")[2] for line in out] == ["unfinished"]


def test_output_of_subprocesses_and_c_code_is_labelled_with_the_process(tmp_path):
    out, _ = lines(
        """
art.init(cpus=1)
speaker = Speaker.options(name="anna", isolation="process").spawn().result(10)
speaker.child("from a child").result(10)
speaker.write_raw("from below\\n").result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert [line.partition(") ")[2] for line in out] == ["from a child", "from below"]
    assert all(line.startswith("(anna") for line in out)


def test_failure_of_an_actor_is_logged_at_the_driver(tmp_path):
    _, err = lines(
        """
art.init(cpus=1)
speaker = Speaker.options(name="anna").spawn().result(10)
speaker.fail.tell().result(10)
art.monitor(speaker).result(10)
art.shutdown()
""",
        tmp_path,
    )
    text = "\n".join(err)
    assert "anna failed: SystemExit: bad day" in text
    assert "in fail" in text


def test_local_mode_prints_lines_unchanged(tmp_path):
    out, err = lines(
        """
art.init(mode="local")
Speaker.options(name="anna").spawn().result(10).say("plain").result(10)
art.shutdown()
""",
        tmp_path,
    )
    assert (out, err) == (["plain"], [])


def test_large_output_arrives_complete_and_in_order(tmp_path):
    out, _ = lines(
        """
art.init(cpus=1)
speaker = Speaker.options(name="anna", isolation="process").spawn().result(10)
replies = [speaker.say(f"line {n}") for n in range(2000)]
art.gather(*replies).result(20)
art.shutdown()
""",
        tmp_path,
    )
    assert [line.partition(") ")[2] for line in out] == [f"line {n}" for n in range(2000)]


def test_last_output_before_a_crash_arrives(tmp_path):
    out, _ = lines(
        """
class Dying(art.Actor):
    def die(self):
        print("farewell")
        os._exit(1)

art.init(cpus=1)
dying = Dying.options(isolation="process").spawn().result(10)
down = art.monitor(dying)
try:
    dying.die().result(10)
except art.ActorDiedError as error:
    print("farewell" in str(error))
art.shutdown()
""",
        tmp_path,
    )
    assert sorted(line.partition(") ")[2] or line for line in out) == ["True", "farewell"]
