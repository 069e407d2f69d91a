"""What a column of text holds: whole numbers, numbers, truth values, dates, or text. Nothing is typed in part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from vaekit.data.cells import WIDEST, Column

MISSING = (
    b"",
    b"?",
    b"NA",
    b"N/A",
    b"n/a",
    b"<NA>",
    b"NaT",
    b"NaN",
    b"nan",
    b"null",
    b"NULL",
    b"None",
    b"none",
)
MISSING_NUMBERS = (b"-", b".")  # no number was given, where all others are numbers
INFINITE = tuple(sign + word for sign in (b"", b"+", b"-") for word in (b"inf", b"infinity"))
ALMOST, ENOUGH = 0.95, 20  # a column is numbers with mistakes from this share and this many on
EXACT = 2**53  # float64 holds every whole number below this

# the grammar of numbers as an automaton: states × what comes; 2, 4 and 7 end one
START, SIGN, WHOLE, POINT, FRACTION, E, E_SIGN, EXPONENT, NONE = range(9)
DIGIT, PLUS, DOT, LETTER_E, END, OTHER = range(6)
STEPS = {
    (START, DIGIT): WHOLE, (START, PLUS): SIGN, (START, DOT): POINT,
    (SIGN, DIGIT): WHOLE, (SIGN, DOT): POINT,
    (WHOLE, DIGIT): WHOLE, (WHOLE, DOT): FRACTION, (WHOLE, LETTER_E): E,
    (POINT, DIGIT): FRACTION,
    (FRACTION, DIGIT): FRACTION, (FRACTION, LETTER_E): E,
    (E, DIGIT): EXPONENT, (E, PLUS): E_SIGN,
    (E_SIGN, DIGIT): EXPONENT,
    (EXPONENT, DIGIT): EXPONENT,
}  # fmt: skip

DATE = {
    r"\d{4}-\d{1,2}-\d{1,2}": ("%Y-%m-%d",),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
}
CLOCK = {r"\d{1,2}:\d\d": "%H:%M", r"\d{1,2}:\d\d:\d\d": "%H:%M:%S", r"\d{1,2}:\d\d:\d\d\.\d+": "%H:%M:%S.%f"}
MOMENT = re.compile(r"([^T ]+)(?:([T ])([\d:.]+?))?(Z|[+-]\d\d:?\d\d)?")


@dataclass
class Typed:
    """A column's values, the format of its dates, and what should be said about it."""

    values: Any
    format: str = ""
    note: str = ""


def typed(column: Column) -> Typed:
    """A column of text as what all of its cells are.

    Args:
        column: (N,) cells.

    Returns:
        int64, float64, bool, object (True, False, None), datetime64, or text with None in its holes.

    Raises:
        DataError: E206 an infinite number, E215 a word among numbers.
    """
    cells = column.matrix()
    holes = _missing(cells)
    found = _numbers(column, cells, holes) or _truths(cells, holes) or _dates(cells, holes)
    return found or Typed(_text(column))


def are_numbers(cells: list[str]) -> bool:
    """Whether each of these is a number.

    Example:
        >>> are_numbers(["1", "-2.5e3"]), are_numbers(["1", "x"])
        (True, False)
    """
    if not all(cell.isascii() and 0 < len(cell) <= WIDEST for cell in cells):
        return False
    matrix = np.array([cell.encode() for cell in cells])
    return bool(np.isin(_states(_bytes(matrix)), (WHOLE, FRACTION, EXPONENT)).all())


def _bytes(cells: np.ndarray) -> np.ndarray:
    return cells.view(np.uint8).reshape(len(cells), -1)


def _same(cells: np.ndarray, words: tuple[bytes, ...]) -> np.ndarray:
    """(N,) whether a cell is one of these words."""
    whole = np.ascontiguousarray(cells).view(f"S{cells.shape[1]}")[:, 0]
    hits = np.zeros(len(cells), bool)
    for word in words:
        if len(word) <= cells.shape[1]:
            hits |= whole == word
    return hits


def _missing(cells: np.ndarray) -> np.ndarray:
    """(N,) whether nothing was given."""
    first = cells[:, 0]
    holes = first == 0
    words = np.flatnonzero((first >= ord("?")) & (cells[:, 4] == 0 if cells.shape[1] > 4 else True))
    holes[words] = _same(cells[words], MISSING)
    return holes


def _states(cells: np.ndarray) -> np.ndarray:
    """(N,) the state in which the automaton ends after each cell."""
    table = np.full((9, 6), NONE, np.uint8)
    for (before, came), after in STEPS.items():
        table[before, came] = after
    table[:, END] = range(9)
    kinds = np.full(256, OTHER, np.uint8)
    kinds[list(b"0123456789")] = DIGIT
    kinds[list(b"+-")] = PLUS
    kinds[list(b"eE")] = LETTER_E
    kinds[ord(".")], kinds[0] = DOT, END
    steps = table.reshape(-1)
    state: np.ndarray = np.zeros(len(cells), np.uint8)
    for place in range(cells.shape[1]):
        state = steps[state * np.uint8(6) + kinds[cells[:, place]]]
    return state


def _numbers(column: Column, cells: np.ndarray, holes: np.ndarray) -> Typed | None:
    """The column as numbers, if every cell is one."""
    state, note = _states(cells), ""
    if column.delimiter == ";" and (cells == ord(",")).any():
        swapped = _points_for_commas(cells)
        states = _states(swapped)
        if (holes | _number(states) | _same(cells, MISSING_NUMBERS)).all():
            cells, state, note = swapped, states, "its numbers are written with decimal commas."
    number = _number(state)
    if not number.any() and not _infinite(cells).any():
        return None
    other = ~(number | holes)
    other[other] = ~_same(cells[other], MISSING_NUMBERS)
    zeros = (state == WHOLE) & (cells[:, 0] == ord("0")) & (cells[:, 1:2] != 0).any(1)
    if zeros.any():
        return None if other.any() else Typed(_text(column), note="leading zeros are kept, so it is text.")
    if not other.any():
        typed_ = _as_numbers(column, cells, state, number)
        return Typed(typed_.values, note=typed_.note or note)
    endless = np.flatnonzero(other)[_infinite(cells[other])]
    if len(endless) == other.sum():
        raise _not_finite(column, int(endless[0]))
    if number.sum() >= ALMOST * (number | other).sum() and (number | other).sum() >= ENOUGH:
        row = int(np.flatnonzero(other)[0])
        message = f"{{cell}} is no number, and {number.sum():,} other cells of this column are."
        raise column.wrong("E215", message, row, "mend the cell or empty it")
    return None


def _number(state: np.ndarray) -> np.ndarray:
    return (state == WHOLE) | (state == FRACTION) | (state == EXPONENT)


def _points_for_commas(cells: np.ndarray) -> np.ndarray:
    """Decimal commas as points; a point that was there is then none."""
    points, commas = cells == ord("."), cells == ord(",")
    swapped = cells.copy()
    swapped[points], swapped[commas] = ord(","), ord(".")
    return swapped


def _infinite(cells: np.ndarray) -> np.ndarray:
    return _same(_lower(cells), INFINITE)


def _lower(cells: np.ndarray) -> np.ndarray:
    return cells + np.uint8(32) * ((cells >= ord("A")) & (cells <= ord("Z")))


def _not_finite(column: Column, row: int) -> Exception:
    return column.wrong("E206", "{cell} is not finite.", row, "leave the row out or empty the cell")


def _as_numbers(column: Column, cells: np.ndarray, state: np.ndarray, number: np.ndarray) -> Typed:
    """int64 where all are whole and there are no holes, else float64."""
    written = np.ascontiguousarray(cells).view(f"S{cells.shape[1]}")[:, 0]
    whole = bool((state[number] == WHOLE).all())
    if whole and number.all():
        try:
            return Typed(written.astype(np.int64))
        except (OverflowError, ValueError):  # as large as no int64 is
            return Typed(
                written.astype(np.float64), note="whole numbers beyond 64 bits lose their last digits."
            )
    values = np.full(len(cells), np.nan)
    values[number] = written[number].astype(np.float64)
    endless = np.isinf(values)
    if endless.any():  # 1e999
        raise _not_finite(column, int(np.flatnonzero(endless)[0]))
    lost = whole and bool((np.abs(values[number]) >= EXACT).any())
    return Typed(
        values, note="whole numbers beyond 2^53 beside holes lose their last digits." if lost else ""
    )


def _truths(cells: np.ndarray, holes: np.ndarray) -> Typed | None:
    """The column as True and False, if every cell is one of these words."""
    lower = _lower(cells)
    true = _same(lower, (b"true",))
    if holes.all() or not (true | holes | _same(lower, (b"false",))).all():
        return None
    if not holes.any():
        return Typed(true)
    values = true.astype(object)
    values[holes] = None
    return Typed(values)


def _dates(cells: np.ndarray, holes: np.ndarray) -> Typed | None:
    """The column as dates, if one format fits every cell."""
    if holes.all():
        return Typed(np.full(len(cells), np.nan), note="there is nothing in it.")
    given = cells[~holes]
    allowed = np.zeros(256, bool)
    allowed[[0, *b"0123456789-/.:+TZ "]] = True
    if given.shape[1] < 8 or not allowed[given[:100]].all() or not allowed[given].all():
        return None
    words = np.ascontiguousarray(given).view(f"S{given.shape[1]}")[:, 0].astype(str)
    fits = {form: values for form in _formats(words[0]) if (values := _parsed(words, form)) is not None}
    if not fits:
        return None
    form, note = next(iter(fits)), ""
    if len(fits) > 1:
        note = f"its dates are read as {form}; {list(fits)[1]} would fit every cell as well."
    written = f"{form[:-2]}Z" if form.endswith("%z") and all(word.endswith("Z") for word in words) else form
    return Typed(_with_holes(fits[form], holes), written, note)


def _formats(word: str) -> list[str]:
    """The formats in which this may be written.

    Example:
        >>> _formats("2020-01-31T10:00Z"), _formats("1/2/2020")
        (['%Y-%m-%dT%H:%M%z'], ['%d/%m/%Y', '%m/%d/%Y'])
    """
    parts = MOMENT.fullmatch(word)
    if parts is None:
        return []
    dates = next((forms for pattern, forms in DATE.items() if re.fullmatch(pattern, parts[1])), ())
    clock = next(
        (form for pattern, form in CLOCK.items() if parts[3] and re.fullmatch(pattern, parts[3])), ""
    )
    if (parts[3] and not clock) or (parts[4] and not clock):
        return []
    return [f"{date}{parts[2] or ''}{clock}{'%z' if parts[4] else ''}" for date in dates]


def _parsed(words: np.ndarray, form: str) -> Any:
    """The dates, or None where one does not fit."""
    import pandas

    if pandas.isna(pandas.to_datetime(words[:1000], format=form, errors="coerce", utc=True)).any():
        return None
    series = pandas.Series(words.astype(object))
    try:
        values = pandas.to_datetime(series, format=form, errors="coerce")
    except ValueError:  # several offsets from UTC
        values = pandas.to_datetime(series, format=form, errors="coerce", utc=True)
    return None if values.isna().any() else values


def _with_holes(values: Any, holes: np.ndarray) -> Any:
    if not holes.any():
        return values.reset_index(drop=True)
    values.index = np.flatnonzero(~holes)
    return values.reindex(range(len(holes)))


def _text(column: Column) -> Any:
    """The cells as text, None in the holes; each different one is decoded once."""
    import pandas

    raw = column.raw()
    words = {cell: None if cell in MISSING else cell.decode() for cell in set(raw)}
    return pandas.Series([words[cell] for cell in raw], dtype=None if any(words.values()) else object)
