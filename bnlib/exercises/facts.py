"""What can be said about a wrong array when no mistake is recognised.

Each function looks for one relation between `got` and `want`, two numeric arrays of one shape,
and says it in one sentence, or returns None. The first that holds is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .language import Text
from .values import close, close_places

Relation = Callable[[np.ndarray, np.ndarray, float | None], Text | None]
FEWEST = 3  # any two numbers are a factor apart, and any four can lie on two factors


def facts(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Iterator[tuple[str, Text]]:
    """The relations that hold, as (name, sentence), the most telling first."""
    return _holding(RELATIONS, got, want, rtol)


def number_facts(
    got: np.ndarray, want: np.ndarray, rtol: float | None
) -> Iterator[tuple[str, Text]]:
    """The same for single numbers, collected over several inputs."""
    return _holding(NUMBER_RELATIONS, got, want, rtol)


def _holding(
    relations: list[Relation], got: np.ndarray, want: np.ndarray, rtol: float | None
) -> Iterator[tuple[str, Text]]:
    for relation in relations:
        text = relation(got, want, rtol)
        if text is not None:
            yield relation.__name__, text


def shape_facts(
    got: np.ndarray, want: np.ndarray, rtol: float | None
) -> Iterator[tuple[str, Text]]:
    """What an array of the wrong shape still has in common with the expected one."""
    return _holding([transposed, same_values], got, want, rtol)


def same_values(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if got.size != want.size or want.size < 2 or not close(got.reshape(want.shape), want, rtol):
        return None
    return Text(
        ko="값과 순서는 맞습니다. 모양만 다릅니다.",
        en="The values and their order are right; only the shape differs.",
    )


def one_place(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    wrong = np.argwhere(~close_places(got, want, rtol))
    if len(wrong) != 1 or got.size == 1:
        return None
    place = tuple(int(i) for i in wrong[0])
    yours, right = number(got[place], want[place]), number(want[place], got[place])
    return Text(
        ko=f"{list(place)} 한 곳만 다릅니다. 기대한 값은 {right}인데 결과는 {yours}입니다.",
        en=f"Only one value differs, at {list(place)}: {yours} instead of {right}.",
    )


def not_finite(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    bad = ~np.isfinite(got) & np.isfinite(want)
    if not bad.any():
        return None
    if got.size == 1:
        return Text(
            ko=f"값이 {number(got.item())}입니다.", en=f"The value is {number(got.item())}."
        )
    place = [int(i) for i in np.argwhere(bad)[0]]
    count, total = int(bad.sum()), bad.size
    return Text(
        ko=f"값 {total}개 가운데 {count}개가 nan이나 inf입니다. 처음은 {place}입니다.",
        en=f"{count} of {total} values {'is' if count == 1 else 'are'} nan or inf, "
        f"the first at {place}.",
    )


def inverted(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if (
        got.size < FEWEST
        or want.dtype != bool
        or got.dtype != bool
        or not np.array_equal(got, ~want)
    ):
        return None
    return Text(ko="참과 거짓이 모두 뒤바뀌었습니다.", en="True and False are swapped throughout.")


def sign(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if want.dtype == bool or not np.any(want) or not close(got, -want, rtol):
        return None
    return Text(ko="부호가 반대입니다.", en="The sign is flipped.")


def constant(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if got.size < FEWEST or not close(got, np.full_like(got, got.flat[0]), rtol):
        return None
    value = number(got.flat[0])
    return Text(ko=f"모든 값이 똑같이 {value}입니다.", en=f"All values are the same, {value}.")


def factor(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    ratio = common_factor(got, want, rtol)
    if ratio is None:
        return None
    return Text(
        ko=f"모든 값이 기대한 값의 {number(ratio, 1)}배입니다.",
        en=f"Every value is {number(ratio, 1)} times the expected one.",
    )


def common_factor(got: np.ndarray, want: np.ndarray, rtol: float | None) -> float | None:
    if want.size < FEWEST or np.count_nonzero(want) < 2 or not np.isfinite(got).all():
        return None
    largest = np.argmax(np.abs(want))
    ratio = got.flat[largest] / want.flat[largest]
    return ratio if ratio and close(got, ratio * want, rtol) else None


def offset(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if got.size < FEWEST or got.dtype == bool or want.dtype == bool:
        return None
    difference = got.flat[0] - want.flat[0]
    if not close(got - difference, want, rtol):
        return None
    return Text(
        ko=f"모든 값이 기대한 값보다 {number(abs(difference))}만큼 {'큽' if difference > 0 else '작습'}니다.",
        en=f"Every value is {number(abs(difference))} "
        f"{'above' if difference > 0 else 'below'} the expected one.",
    )


def transposed(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if got.ndim < 2 or got.T.shape != want.shape or not close(got.T, want, rtol):
        return None
    return Text(ko="값은 맞지만 전치되어 있습니다.", en="The values are right, but transposed.")


def other_order(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    for axis in range(want.ndim):
        if close(in_order(got, axis), in_order(want, axis), rtol):
            if want.ndim == 1:
                return Text(
                    ko="값은 모두 맞지만 순서가 다릅니다.",
                    en="The values are right, in another order.",
                )
            ko = ["행의 순서가", "열의 순서가"][axis] if want.ndim == 2 else f"{axis}번 축의 순서가"
            en = ["the rows are", "the columns are"][axis] if want.ndim == 2 else f"axis {axis} is"
            return Text(
                ko=f"값은 모두 맞지만 {ko} 다릅니다.",
                en=f"The values are right, but {en} in another order.",
            )
    if want.size >= FEWEST and close(np.sort(got, axis=None), np.sort(want, axis=None), rtol):
        return Text(
            ko="같은 값들이 다른 자리에 있습니다.", en="The same values stand in other places."
        )
    return None


def in_order(array: np.ndarray, axis: int) -> np.ndarray:
    """The slices along `axis`, sorted by their values: equal for every order of the slices."""
    array = array.astype(float) if array.dtype == bool else array  # np.round takes no bool
    slices = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
    return slices[np.lexsort(np.round(slices, 6).T[::-1])]


def power(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    if want.size < FEWEST or want.dtype == bool:
        return None
    for change, ko, en in [
        (np.square, "제곱", "the square of"),
        (np.sqrt, "제곱근", "the square root of"),
        (lambda values: 1 / values, "역수", "one over"),
        (np.exp, "지수 함수 값", "the exponential of"),
        (np.log, "로그 값", "the logarithm of"),
    ]:
        changed = change(want.astype(float) if want.dtype.kind in "ui" else want)
        if np.isfinite(changed).all() and close(got, changed, rtol):
            return Text(
                ko=f"모든 값이 기대한 값의 {ko}입니다.", en=f"Every value is {en} the expected one."
            )
    return None


def by_slice(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    """Rows or columns that are each a factor or an offset away, or of which some are right."""
    for axis in range(want.ndim - 1, -1, -1):
        if want.ndim < 2 or want.shape[axis] < 2:
            continue
        pairs = list(zip(np.moveaxis(got, axis, 0), np.moveaxis(want, axis, 0), strict=True))
        right = [i for i, (a, b) in enumerate(pairs) if np.any(b) and close(a, b, rtol)]
        if right:
            ko, en = name_slice(axis, want.ndim, right)
            return Text(
                ko=f"{ko}만 맞습니다(0부터 셉니다).", en=f"Right only in {en}, counting from 0."
            )
        ratios = [common_factor(a, b, rtol) for a, b in pairs]
        if None not in ratios:
            ko, en = name_slice(axis, want.ndim)
            values = listed([number(ratio, 1) for ratio in ratios])
            return Text(
                ko=f"{ko}마다 기대한 값의 일정한 배수입니다. 차례로 {values}배입니다.",
                en=f"Each {en} is a fixed multiple of the expected one: {values} times.",
            )
    return None


def name_slice(axis: int, ndim: int, places: list[int] | None = None) -> tuple[str, str]:
    """The kind of slice; with `places`, which ones."""
    ko, en = [("행", "row"), ("열", "column")][axis] if ndim == 2 else ("조각", "slice")
    if places:
        ko = f"{ko} {listed(places)}"
        en = f"{en}{'s' if len(places) > 1 else ''} {listed(places, ' and ')}"
    return (ko, en) if ndim == 2 else (f"{axis}번 축의 {ko}", f"{en} along axis {axis}")


def moments(got: np.ndarray, want: np.ndarray, rtol: float | None) -> Text | None:
    """Mean and spread as a whole: they often tell which step is missing."""
    if got.size < FEWEST or want.dtype == bool:
        return None
    rounding = 1e-9 * np.abs(want).max()
    pairs = [(np.mean(got), np.mean(want)), (np.std(got), np.std(want))]
    means, stds = [
        " / ".join(number(value if abs(value) > rounding else 0) for value in pair)
        for pair in pairs
    ]
    if all(len(set(pair.split(" / "))) == 1 for pair in (means, stds)):
        return None
    return Text(
        ko=f"결과 전체의 평균(내 결과 / 기대한 결과)은 {means}, 표준편차는 {stds}입니다.",
        en=f"Over the whole result, yours / expected: mean {means}, standard deviation {stds}.",
    )


RELATIONS: list[Relation] = [
    not_finite,
    inverted,
    one_place,
    sign,
    constant,
    factor,
    offset,
    transposed,
    other_order,
    power,
    by_slice,
    moments,
]
NUMBER_RELATIONS: list[Relation] = [sign, constant, factor, offset, power]


def number(value: complex, other: complex | None = None) -> str:
    """Four digits, and no more than there are; more if it takes them to tell it from `other`."""
    if np.asarray(value).dtype == bool:
        return str(bool(value))
    value = complex(value)
    value = value.real if value.imag == 0 else value
    for digits in (4, 8, 17):
        if other is None or f"{value:.{digits}g}" != f"{other:.{digits}g}":
            break
    return f"{value:.{digits}g}"


def listed(items: list, last: str = ", ") -> str:
    """The first six; `last` stands before the last, if that is one of them."""
    shown = [str(item) for item in items[:6]]
    if len(items) > 6:
        return ", ".join([*shown, "…"])
    return last.join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
