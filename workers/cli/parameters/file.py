"""A version of the parameters as a file, to move it between deployments."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.cli.output import write_output
from workers.common.errors import InputFileError
from workers.estimation.documents import OlderFormulas, parameters_of
from workers.ledger.parameters import StoredParameters, stored_document


class ParametersFile(BaseModel):
    """The content of the file, one JSON object."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(min_length=1, max_length=128)
    note: str = ""
    diagnostics: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file, and check that its parameters are usable.

        Raises:
            InputFileError: a field is missing, unknown or out of range; the message names it.
        """
        try:
            content = cls.model_validate_json(path.read_bytes())
            # In the form in which it will be stored.
            parameters_of(stored_document(content.parameters))
        except OSError as error:
            raise InputFileError(f"{path} can't be read: {error.strerror or error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise InputFileError(
                f"{path} is not a version of the parameters: {place}: {first['msg']}; "
                "`mastery parameters export` writes such files"
            ) from error
        except OlderFormulas as error:
            raise InputFileError(f"{path} can't be used: {error}") from error
        except ValueError as error:
            raise InputFileError(
                f"{path} has unusable parameters: parameters.{error}; correct the file, or export "
                "it with the same version of the engine"
            ) from error
        return content

    @classmethod
    def of(cls, stored: StoredParameters) -> Self:
        """Return the file of a stored version."""
        return cls(
            model=stored.model,
            note=stored.note,
            diagnostics=dict(stored.diagnostics),
            parameters=dict(stored.document),
        )

    def write(self, path: Path | None) -> None:
        """Write the file; to stdout without a path.

        Raises:
            InputFileError: the path is not writable.
        """
        write_output(self.model_dump_json(indent=2) + "\n", path)
