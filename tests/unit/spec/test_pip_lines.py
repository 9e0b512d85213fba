"""Lines of requirements files: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from pip._internal.network.session import PipSession
from pip._internal.req.req_file import parse_requirements

from elt_env.runtime.credentials import without_credentials
from elt_env.spec.direct import DirectRequirement
from elt_env.spec.pip_lines import PipLines, read_pip_lines

SHA = "0" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def read(*lines: str, files: dict[str, str] | None = None) -> PipLines:
    def reader(path: str) -> str:
        try:
            return (files or {})[path]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None

    return read_pip_lines(enumerate(lines, start=1), "envs/elt.yml", reader)


def fault(line: str) -> tuple[str, str]:
    faults = read(line).faults
    assert len(faults) == 1, faults
    return faults[0].problem, faults[0].remedy


def test_requirements_are_normalized_and_sorted() -> None:
    found = read("Six", "dbt_core[PG]>=1.10,<2", 'moto[s3]; python_version >= "3.10"')
    assert found.requirements == (
        "dbt-core[pg]<2,>=1.10",
        'moto[s3]; python_version >= "3.10"',
        "six",
    )
    assert found.faults == ()


def test_comments_blanks_and_continued_lines() -> None:
    found = read("", "# a", "six  # why", "requests \\\n>=2 \\\n# no\n", "a#b @ nonsense")
    assert found.requirements == ("requests>=2", "six")
    assert [each.line for each in found.faults] == [5]


def test_one_name_twice_asks_for_both() -> None:
    found = read("python-dotenv", "python_dotenv==1.1.1", "six; os_name == 'nt'", "six[a]>1")
    assert found.requirements == ("python-dotenv==1.1.1", 'six; os_name == "nt"', "six[a]>1")


def test_files_are_read_relative_to_the_one_that_names_them() -> None:
    files = {
        "envs/req/base.txt": "\ufeffsix\r\n-c ../bounds.txt\r\n-r more.txt",
        "envs/bounds.txt": "click<9\n-r inner.txt\n",
        "envs/inner.txt": "urllib3<3",
        "envs/req/more.txt": "requests",
    }
    found = read("-rreq/base.txt", "--constraint=bounds.txt", files=files)
    assert found.requirements == ("requests", "six")
    assert found.constraints == ("click<9", "urllib3<3")
    assert found.files == tuple(sorted(files))
    assert found.faults == ()


def test_a_fault_in_another_file_has_its_place_there() -> None:
    found = read("-r a.txt", "b=1", files={"envs/a.txt": "six\n\nduckdb=1.4\n"})
    assert [(each.source, each.line) for each in found.faults] == [
        ("envs/a.txt", 3),
        ("envs/elt.yml", 2),
    ]


def test_files_that_include_each_other() -> None:
    found = read("-r a.txt", files={"envs/a.txt": "-r b.txt", "envs/b.txt": "six\n-c a.txt"})
    assert found.requirements == ("six",)
    assert "envs/a.txt -> envs/b.txt -> envs/a.txt" in found.faults[0].problem


def test_a_file_that_is_not_there_and_one_that_is_elsewhere() -> None:
    assert "envs/none.txt cannot be read" in fault("-r none.txt")[0]
    assert "can change under a lock" in fault("-r https://example.test/r.txt")[0]


def test_options() -> None:
    found = read(
        "-i https://${INDEX_USER}:${INDEX_PASSWORD}@one.test/simple --pre",
        "--extra-index-url=https://two.test/simple",
        "--find-links wheels",
        "-f https://three.test/links.html",
        "--no-index",
        "--prefer-binary",
        "--only-binary :all:",
        "--no-binary Six,pendulum",
        "--require-hashes",
        f"six==1.16 --hash=sha256:{SHA} --hash sha256:{'A' * 64}",
    )
    options = found.options
    assert found.faults == ()
    assert options.index_url == "https://${INDEX_USER}:${INDEX_PASSWORD}@one.test/simple"
    assert options.extra_index_urls == ("https://two.test/simple",)
    assert options.find_links == ("envs/wheels", "https://three.test/links.html")
    assert options.no_index
    assert options.pre
    assert options.prefer_binary
    assert (options.only_binary, options.no_binary) == ((":all:",), ("pendulum", "six"))
    assert options.hashes == (("six", (SHA, "a" * 64)),)


def test_archives_and_commits() -> None:
    found = read(
        f"mine[b,A] @ https://example.test/mine-1.0-py3-none-any.whl#sha256={SHA}",
        f"https://example.test/other-2.0.tar.gz --hash=sha256:{SHA}",
        f"git+https://example.test/team/tool.git@{COMMIT}#egg=tool&subdirectory=py ; os_name=='nt'",
        f"-e git+ssh://git@example.test/e.git@{COMMIT}#egg=Edit",
        f"./dist/local-1.0-py3-none-any.whl --hash=sha256:{SHA}",
    )
    assert found.faults == ()
    assert found.directs == (
        DirectRequirement("edit", "ssh://git@example.test/e.git", commit=COMMIT),
        DirectRequirement("local", "envs/dist/local-1.0-py3-none-any.whl", sha256=SHA),
        DirectRequirement(
            "mine", "https://example.test/mine-1.0-py3-none-any.whl", SHA, extras=("a", "b")
        ),
        DirectRequirement("other", "https://example.test/other-2.0.tar.gz", SHA),
        DirectRequirement(
            "tool",
            "https://example.test/team/tool.git",
            commit=COMMIT,
            subdirectory="py",
            marker='os_name == "nt"',
        ),
    )
    assert [each.is_wheel for each in found.directs] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("line", "write"),
    [
        ("duckdb=1.4", "'duckdb==1.4', or 'duckdb==1.4.*'"),
        ("pandas=2.*", "'pandas==2.*'"),
        ("pandas=2.1=py311_0", "'pandas==2.1', or 'pandas==2.1.*'"),
        ("pandas==2.1=py311_0", "'pandas==2.1'"),
        ("conda-forge::six", "'six'"),
        ("six 1.16", "'six==1.16'"),
        ("moto[s3", "'moto[s3]'"),
        ("moto[s3>=5", "'moto[s3]>=5'"),
        ("moto s3]", "'moto[s3]'"),
        ("six (>=1", "'six (>=1)', or 'six >=1'"),
        ("package: duckdb", "'duckdb'"),
        ("duckdb: 1.4", "'duckdb==1.4'"),
        ("pandas>>2", "'pandas>2'"),
        ("pandas=>2", "'pandas>=2'"),
        ("pandas>=2.*", "'pandas>=2'"),
        ("six~=1", "'six~=1.0'"),
        ("six^1.2", "'six>=1.2,<2'"),
        ("six>=1.0 <2", "'six>=1.0,<2'"),
        ("six==latest", "'six'"),
        ("six==", "'six'"),
        ("six,", "'six'"),
        ("'six'", "'six'"),
        ("six==1.16#why", "'six==1.16'"),
        ("pip install six", "'six'"),
        ("six requests", "'six'"),
        ("dbt_core @ 1.2", "'dbt_core==1.2'"),
        ("six;", "'six'"),
        ("dagster; python_version > 3", "\"dagster; python_version > '3'\""),
        ('six; python >= "3.8"', "\"six; python_version >= '3.8'\""),
        ('six; python_version = "3.8"', "\"six; python_version == '3.8'\""),
        ("six; python_version>3 && os_name==nt", "python_version > '3' and os_name == 'nt'"),
        ("six; nonsense", "python_version < '3.12'"),
        ("é", "NAME==1.2"),
        ("six==${VERSION}", "its value"),
    ],
)
def test_what_to_write_in_place_of_what_is_no_requirement(line: str, write: str) -> None:
    problem, remedy = fault(line)
    assert write in remedy
    assert "Expected" not in problem + remedy


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("-e .", "'-e .' is a project's directory"),
        (".", "'.' is a project's directory"),
        ("./pkg[dev]", "'./pkg' is a project's directory"),
        ("-e file:./pkg", "'-e ./pkg' is a project's directory"),
        ("file:///home/me/pkg", "'/home/me/pkg' is a project's directory"),
        ("pkg @ file:///home/me/pkg", "'/home/me/pkg' is a project's directory"),
        ("./dist/x-1.0-py3-none-any.whl", "sha256sum envs/dist/x-1.0-py3-none-any.whl"),
        ("https://example.test/x-1.0.tar.gz", "https://example.test/x-1.0.tar.gz | sha256sum"),
        ("https://example.test/x.git", "git ls-remote https://example.test/x.git HEAD"),
        ("git+https://example.test/x.git", "git ls-remote https://example.test/x.git HEAD"),
        ("git+https://example.test/x@v1#egg=y", "y @ git+https://example.test/x@COMMIT"),
        (
            f"git+https://example.test/x.git@{COMMIT}",
            f"x @ git+https://example.test/x.git@{COMMIT}",
        ),
        ("git+git@example.test:o/r.git", "git+ssh://git@example.test/o/r.git"),
        ("-e git://example.test/x.git#egg=x", "x @ git+git://example.test/x.git@COMMIT"),
        ("-e https://example.test/x.git", "x @ git+https://example.test/x.git@COMMIT"),
        ("-e hg://example.test/x#egg=x", "Mercurial"),
        ("-e ./pkg#egg=pkg", "'-e ./pkg' is a project's directory"),
        ("x @ git+https://example.test/x@38eb5d3b", "git rev-parse 38eb5d3b"),
        ("x @ file:///croot/x_1671487769961/work", "pip list --format=freeze"),
        ("x @ file:///home/conda/feedstock_root/build_artifacts/x_1/work", "where conda built"),
        ("x @ file:///D:/bld/x_1/dist/x-1-py3-none-any.whl", "where conda built"),
        ("-r more.txt --no-deps", "'--no-deps' is not an option"),
        ("hg+https://example.test/x#egg=x", "Mercurial"),
        ("svn+https://example.test/x#egg=x", "Subversion"),
        ("bzr+https://example.test/x#egg=x", "Bazaar"),
        ("--trusted-host example.test", "SSL_CERT_FILE"),
        ("--no-such", "not an option"),
        ("--index-url", "no value"),
        ("--index-url 'https://x", "quote"),
        ("--index-url here", "not the URL of a package index"),
        ("six --pre", "its own line"),
        ("six==1 --hash=md5:0", "not a sha256"),
        (f"six>=1 --hash=sha256:{SHA}", "six==VERSION --hash=sha256:"),
        (f"--hash=sha256:{SHA}", "without a requirement"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_what_works(line: str, says: str) -> None:
    assert says in " ".join(fault(line))


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://me:hunter2@example.test/simple",
        "--extra-index-url https://hunter2@example.test/simple",
        "--find-links https://me:hunter2@example.test/links",
        "--find-links https://example.test/links?token=hunter2",
        f"x @ https://me:hunter2@example.test/x-1.0.tar.gz#sha256={SHA}",
        f"x @ https://example.test/x-1.0.tar.gz?access_token=hunter2#sha256={SHA}",
        f"git+https://hunter2@example.test/x.git@{COMMIT}#egg=x",
        f"git+ssh://git:hunter2@example.test/x.git@{COMMIT}#egg=x",
        "-r https://me:hunter2@example.test/r.txt",
        "-e git+https://me:hunter2@example.test/x.git#egg=x",
        "six https://me:hunter2@example.test/x",
    ],
)
def test_a_credential_is_refused_and_not_repeated(line: str) -> None:
    said = " ".join(fault(line))
    assert "hunter2" not in said
    assert without_credentials(said) == said  # of what is said, nothing is hidden from who reads it


def test_constraints_bind_and_ask_for_nothing() -> None:
    files = {
        "envs/c.txt": f"click<9\nsix[a]<2\nx @ https://example.test/x-1.whl#sha256={SHA}\n-e ."
    }
    found = read("-c c.txt", files=files)
    assert (found.requirements, found.directs) == ((), ())
    assert [each.line for each in found.faults] == [2, 3, 4]


_names = st.from_regex(r"\A[a-z][a-z0-9]{0,5}\Z")
_versions = st.from_regex(r"\A[0-9]{1,2}(\.[0-9]{1,2}){0,2}\Z")
_bounds = st.lists(
    st.builds("{}{}".format, st.sampled_from(["==", ">=", "<", "!="]), _versions), max_size=2
).map(",".join)
_extras = st.lists(_names, max_size=2).map(lambda names: f"[{','.join(names)}]" if names else "")
_markers = st.sampled_from(["", "; python_version >= '3.10'", " ; os_name == 'nt'"])
_comments = st.sampled_from(["", "  # why", " #", "\t# a # b"])
_requirements = st.builds("{}{}{}{}{}".format, _names, _extras, _bounds, _markers, _comments)
_texts = st.lists(
    st.one_of(_requirements, st.sampled_from(["", "# nothing", "--pre", "   ", "six \\", "\\"]))
).map("\n".join)


_NO_NETWORK = PipSession.__new__(PipSession)  # its own would start a program to name itself


@given(text=_texts)
def test_text_is_read_as_pip_reads_it(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = read_pip_lines([(1, text)], "requirements.txt", lambda path: path)
    if found.faults:
        return  # six followed by a line of another requirement, which pip refuses later
    path = tmp_path_factory.getbasetemp() / "requirements.txt"
    path.write_text(text, encoding="utf-8")
    asked = [
        Requirement(each.requirement) for each in parse_requirements(str(path), session=_NO_NETWORK)
    ]
    mine = [Requirement(line) for line in found.requirements]
    assert {_key(each) for each in mine} == {_key(each) for each in asked}
    for each in asked:
        same = next(one for one in mine if _key(one) == _key(each))
        assert each.extras <= same.extras
        assert set(each.specifier) <= set(same.specifier)


def _key(requirement: Requirement) -> tuple[str, str]:
    return requirement.name, str(requirement.marker)


@given(st.lists(st.one_of(st.text(), st.from_regex(r"\A[-a-z=<>!~;@\[\]. :/#'1-3]*\Z"))))
def test_any_text_has_a_meaning_or_a_fault_that_tells_what_to_write(lines: list[str]) -> None:
    found = read(*lines)
    for each in found.faults:
        assert each.line >= 1
        assert "Expected" not in str(each)
        for written in re.findall(r"^Write '([^']*)'\.$", each.remedy):
            assert not read(written).faults


def test_the_samples_of_public_files() -> None:
    found = read(
        "-r requirements-base.txt",
        "-c constraints.txt",
        'moto[s3]; python_version >= "3.10"',
        files={
            "envs/requirements-base.txt": "python-dotenv>=1\n",
            "envs/constraints.txt": "click<9",
        },
    )
    assert found.faults == ()
    assert found.lines == (
        ("click", ("envs/constraints.txt", 1)),
        ("moto", ("envs/elt.yml", 3)),
        ("python-dotenv", ("envs/requirements-base.txt", 1)),
    )
