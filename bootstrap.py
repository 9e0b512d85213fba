"""Sets this project up: .venv with what requirements.txt locks, and the project itself.

Written so that any Python 3 can read it, since it has to say when one is too old.
"""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
STAMP = os.path.join(VENV, ".ready")
LOCK = os.path.join(HERE, "requirements.txt")
OLDEST, NEWEST = (3, 10), (3, 14)
OTHERS = ("python3.11", "python3.12", "python3.13", "python3.14", "python3.10")


def main():
    if not fits(sys.version_info[:2]):
        hand_over()
    if not have_venv():
        fail(
            "Python %s at %s cannot make virtual environments; on Debian: "
            "apt-get install python3-venv" % (version(sys.version_info[:2]), sys.executable)
        )
    tell("setting up .venv with Python %s" % version(sys.version_info[:3]))
    run([sys.executable, "-m", "venv", "--clear", VENV])
    python = os.path.join(VENV, "bin", "python")
    handle, uv_lock = tempfile.mkstemp(suffix=".txt")
    with os.fdopen(handle, "w") as file:
        file.write(locked("uv"))
    try:
        run([python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", uv_lock])
    finally:
        os.remove(uv_lock)
    uv = [os.path.join(VENV, "bin", "uv"), "pip"]
    target = ["--python", python]
    tell("installing what requirements.txt locks")
    run(uv + ["sync", "--require-hashes", "--compile-bytecode"] + target + [LOCK])
    run(uv + ["install", "--quiet", "--no-deps", "--no-build-isolation"] + target + ["-e", HERE])
    with open(STAMP, "w") as stamp:
        stamp.write(version(sys.version_info[:3]) + "\n")


def fits(found):
    return OLDEST <= tuple(found) <= NEWEST


def version(numbers):
    return ".".join(str(each) for each in numbers)


def hand_over():
    """Go on with another Python of this machine, or say that there is none."""
    for name in OTHERS:
        try:
            subprocess.check_output([name, "-c", "pass"], stderr=subprocess.STDOUT)
        except (OSError, subprocess.CalledProcessError):
            continue
        os.execvp(name, [name, os.path.abspath(__file__)] + sys.argv[1:])
    fail(
        "Python %s is too %s: Dagster needs %s to %s; install one of these"
        % (
            version(sys.version_info[:2]),
            "old" if sys.version_info[:2] < OLDEST else "new",
            version(OLDEST),
            version(NEWEST),
        )
    )


def have_venv():
    try:
        import ensurepip
        import venv
    except ImportError:
        return False
    return bool(ensurepip and venv)


def locked(name):
    """Return the lines of one package from the lock."""
    lines = []
    with open(LOCK) as file:
        for line in file:
            if line.startswith(name + "=="):
                lines.append(line)
            elif lines and line.startswith(" "):
                lines.append(line)
            elif lines:
                break
    return "".join(lines)


def run(command):
    code = subprocess.call(command, cwd=HERE)
    if code:
        fail("set-up failed at: %s (exit code %d)" % (" ".join(command), code))


def tell(message):
    sys.stderr.write("elt_env: %s\n" % message)


def fail(message):
    tell(message)
    sys.exit(1)


if __name__ == "__main__":
    main()
