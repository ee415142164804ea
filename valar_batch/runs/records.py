"""What the run folder's JSON files hold."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from valar_batch import __version__, durable
from valar_batch.core.lifecycle import MOVES, BatchState
from valar_batch.core.pack import Limits
from valar_batch.core.prices import PriceTable
from valar_batch.core.problems import FileRows, place_of, row_name
from valar_batch.core.reading import Reading
from valar_batch.core.recipe import Recipe, Source
from valar_batch.errors import StateError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

FIRST_ROWS_FILE = "rows.arrow"

FOLDER_VERSION = 1
"""Grows when older tools could no longer read a run folder rightly."""


class InputRecord(msgspec.Struct, frozen=True):
    """Where the rows came from: format, and SHA-256 of what was read.

    `path` is the absolute path of a file or folder, the pattern of files, or the bare name of what
    is no file: `-`, `table`, `rows`. `files` counts the rows of each file, where there are several.
    `reading` is what the user said of how to read it, its format left out.
    """

    path: str
    format: str
    digest: str
    files: list[FileRows] = []
    reading: Reading = Reading()

    @property
    def is_on_disk(self) -> bool:
        """Whether it can be read again."""
        return Path(self.path).is_absolute()

    @property
    def place(self) -> str | None:
        """Its path, where it is on the disk."""
        return self.path if self.is_on_disk else None

    def has_rows_of(self, other: InputRecord) -> bool:
        """Whether these are the same rows, wherever they are."""
        mine, others = (self.digest, self.format, self.reading), (other.digest, other.format)
        return mine == (*others, other.reading)

    def name_of(self, row: int) -> str:
        """Name a row, counted over the whole input, by its file and its number there."""
        number, file = place_of(row, self.files)
        return row_name(number, file or self.path)


class Totals(msgspec.Struct, frozen=True):
    """Counts over a run: `bytes` are those of all bodies, `params_bytes` of the params alone.

    `image_bytes` is what of the params are URLs and data URIs of `images`.
    """

    rows: int = 0
    requests: int = 0
    invalid: int = 0
    batches: int = 0
    bytes: int = 0
    params_bytes: int = 0
    images: int = 0
    image_bytes: int = 0

    def with_bytes(self, count: int) -> Totals:
        """Give the same totals, now that the bodies are whole."""
        return msgspec.structs.replace(self, bytes=count)


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: written once, and again only when other rows come around the same requests.

    `arrow_schema` is the input's settled schema, IPC in base64; `optional_columns` are those of the
    outcome that the requests ask for; `fixed` and `translated` count rows as in `Prepared`;
    `rows_file` the name, in each batch's folder, of the rows
    that belong to it.
    """

    folder_version: int = FOLDER_VERSION
    tool_version: str = __version__
    digest: str
    generation: int
    name: str | None
    target: str
    mode: str
    created_at: float
    recipe: Recipe
    recipe_digest: str
    source: Source
    input: InputRecord
    arrow_schema: str
    custom_id_is_input: bool
    optional_columns: tuple[str, ...] = ()
    fixed: dict[str, int] = {}
    translated: dict[str, int] = {}
    limits: Limits
    prices_date: str
    prices: dict[str, dict[str, tuple[float, float, float]]]
    totals: Totals
    rows_file: str = FIRST_ROWS_FILE

    @property
    def schema(self) -> pa.Schema:
        """The schema of the input's columns in the output."""
        import pyarrow as pa

        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.arrow_schema)))


def encode_schema(schema: pa.Schema) -> str:
    """Write a schema for `run.json`."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def freeze_prices(table: PriceTable) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Write a price table for `run.json`."""
    return {
        name: {w: (p.input, p.cached_input, p.output) for w, p in model.windows.items()}
        for name, model in table.models.items()
    }


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`batch.json`. Times are Unix seconds; `key` fingerprints the API key of the last intent.

    `first_row` and `last_row` bound its rows in the input; a retry has some of those between. A
    batch that was found at Valar, without its body here, has no `sha256`. `of_batches` is how many
    batches its attempt has in this folder, or 0 where that is not known. `statuses` and `tokens`
    count the results, from the moment the batch is settled.
    """

    number: int
    attempt: int = 1
    state: BatchState = BatchState.PREPARED
    first_row: int
    last_row: int = 0
    rows: int
    requests: int
    bytes: int = 0
    sha256: str = ""
    label: str
    idempotency_key: str = ""
    key: str | None = None
    intent_at: float | None = None
    batch_id: str | None = None
    submitted_at: float | None = None
    adopted: bool = False
    of_batches: int = 0
    statuses: dict[str, int] = {}
    tokens: int = 0

    @property
    def title(self) -> str:
        """What the batch is called on the screen."""
        again = f" of attempt {self.attempt}" if self.attempt > 1 else ""
        return f"batch {self.number}{again}"

    def moved(self, state: BatchState, **facts: object) -> BatchRecord:
        """Give the record in its next state; raises StateError for a step that cannot be."""
        if state not in MOVES[self.state]:
            raise StateError(f"{self.title} is {self.state}: it cannot become {state}")
        return msgspec.structs.replace(self, state=state, **facts)


EXPECTED = -1
"""What `collected` is of an output that was about to take its place."""


class OutputRecord(msgspec.Struct, frozen=True):
    """A file that a run wrote, and how it looked then: size in bytes, mtime in nanoseconds.

    `collected` is how many of the run's batches had all their results here before it was written,
    or EXPECTED.
    """

    path: str
    format: str
    size: int = 0
    mtime_ns: int = 0
    collected: int = 0


class OutputRecords(msgspec.Struct, frozen=True):
    """`outputs.json`."""

    outputs: list[OutputRecord]


CHECK = re.compile(rb'\{\n  "check": "([0-9a-f]{16})",\n')
"""How a record begins: with a digest of all that follows. One without it is taken as it is."""


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Replace a JSON file of the run folder, while nobody else writes it."""
    durable.write_file(path, encode_record(record), mark="writer")


def encode_record(record: msgspec.Struct) -> bytes:
    """Give a record as it is written: JSON with a line for each field, and its digest."""
    rest = msgspec.json.format(msgspec.json.encode(record)).removeprefix(b"{\n")
    return b'{\n  "check": "%b",\n%b' % (digest_of(rest), rest)


def digest_of(content: bytes) -> bytes:
    """Give the digest by which a damaged record is found."""
    return hashlib.blake2b(content, digest_size=8).hexdigest().encode()


def read_record(path: Path, kind: type[T]) -> T:
    """Read a JSON file of the run folder. Raises StateError where it is damaged or too new."""
    try:
        content = path.read_bytes()
        head = CHECK.match(content)
        if head is not None and digest_of(content[head.end() :]) != head[1]:
            raise damaged(path, "it is not what was written")
        version = msgspec.json.decode(content, type=VersionOnly).folder_version
        if version > FOLDER_VERSION:
            raise StateError(
                f"{path.parent} was written by a newer version of valar-batch",
                hint="update valar-batch to work with this run",
            )
        return msgspec.json.decode(content, type=kind)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> StateError:
    """Say that a file of a run cannot be used, and how to have again what it held."""
    if isinstance(reason, PermissionError):
        return StateError(
            f"{path} cannot be read: {reason.strerror}",
            hint=f"let yourself read it, as with `chmod -R u+rwX {path.parent}`",
        )
    if isinstance(reason, OSError):
        reason = reason.strerror or reason
    folder = next((p for p in path.parents if p.parent.name == "runs"), path.parent)
    again = "the command that made it"
    match path.relative_to(folder).parts:
        case "retries", attempt, _, *_:
            again = f"`valar-batch retry {folder.name}`"
            folder = folder / "retries" / attempt
    return StateError(
        f"{path} cannot be used: {reason}",
        hint=f"what was sent is still at Valar, and is not paid again: move {folder} away, out of "
        f"{folder.parent}, and repeat {again}",
    )


class VersionOnly(msgspec.Struct, frozen=True):
    """The version of whatever file it is; files without one are of the first."""

    folder_version: int = 1


def now() -> float:
    """Give the time that goes into records."""
    return time.time()
