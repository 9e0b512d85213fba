from __future__ import annotations

import sys

from packaging.tags import sys_tags

from elt_env.pip.wheels import wheel_tags


def test_the_tags_of_this_python_are_those_that_it_takes_itself() -> None:
    running = ".".join(map(str, sys.version_info[:3]))
    assert wheel_tags(running) == tuple(str(each) for each in sys_tags())


def test_the_tags_of_another_python() -> None:
    tags = wheel_tags("3.12.1")
    assert tags[0].startswith("cp312-cp312-")
    assert tags[-1] == "py30-none-any"
    assert not any("cp313" in each for each in tags)
