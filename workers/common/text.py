"""Convert text that a library returns as bytes or as `str`."""


def text_of(value: bytes | str) -> str:
    r"""Return text as `str`; bytes that are not UTF-8 become escapes such as ``\xff``."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
