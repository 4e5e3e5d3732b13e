"""docs/express.md shows code of the example, and names its settings and files."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.fences import code_blocks

_ROOT: Final = Path(__file__).parents[3]
_PAGE: Final = _ROOT / "docs" / "express.md"
_TYPESCRIPT: Final = _ROOT / "contracts" / "typescript"
_EXCERPTS: Final = [*code_blocks(_PAGE, "ts"), *code_blocks(_PAGE, "sql")]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("excerpt", _EXCERPTS, ids=range(len(_EXCERPTS)))
def test_given_an_excerpt_then_it_is_code_that_runs_in_tests(excerpt: str) -> None:
    wanted = "\n".join(_lines(excerpt))
    files = [*_TYPESCRIPT.glob("examples/*.ts"), *_TYPESCRIPT.glob("test/*.test.ts")]
    sources = ["\n".join(_lines(file.read_text("utf-8"))) for file in files]
    assert any(wanted in source for source in sources)


def test_given_the_settings_of_the_example_then_the_page_has_all() -> None:
    settings = (_TYPESCRIPT / "examples" / "settings.ts").read_text("utf-8")
    read = set(re.findall(r'environment\["(\w+)"\]', settings)) - {"NODE_ENV"}
    text = _PAGE.read_text("utf-8").partition("\n## Run it\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
    assert listed == read


def test_given_the_files_of_the_example_then_the_page_lists_all() -> None:
    text = _PAGE.read_text("utf-8")
    files = {file.name for file in _TYPESCRIPT.glob("examples/*.ts")}
    assert set(re.findall(r"\.\./contracts/typescript/examples/([\w-]+\.ts)", text)) == files
