"""Documents name files that exist, folders are listed, files and test names are short."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
DOCUMENTS: Final = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "supabase" / "README.md"]
)
_PATH: Final = re.compile(
    r"`((?:workers|contracts|supabase|tests|bench|deploy|docs)/[\w./-]*)(?:`|::)"
)

_TEST: Final = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_given_a_document_then_each_path_in_it_exists(document: Path) -> None:
    named = _PATH.findall(document.read_text("utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_given_the_architecture_then_it_lists_each_folder_of_workers() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed = re.findall(r"^\| `workers/(\w+)/` \|", text, re.MULTILINE)
    folders = [file.parent.name for file in (ROOT / "workers").glob("*/__init__.py")]
    assert sorted(listed) == sorted(folders)


def test_given_the_package_then_no_module_stands_loose_at_its_top() -> None:
    loose = [file.name for file in (ROOT / "workers").glob("*.py")]
    assert loose == ["__init__.py"]


def test_given_a_python_file_of_the_product_then_it_has_350_lines_at_most() -> None:
    product = [
        file for folder in ("workers", "contracts") for file in (ROOT / folder).rglob("*.py")
    ]
    long = [file.name for file in product if len(file.read_text("utf-8").splitlines()) > 350]
    assert long == []


def test_given_the_tests_then_each_name_has_70_characters_at_most() -> None:
    names = [
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in _TEST.findall(file.read_text("utf-8"))
    ]
    assert len(names) > 1000
    assert [name for name in names if len(name) > 70] == []
